/* SPDX-License-Identifier: Apache-2.0
 *
 * What one job has to say in a delivery: its event's payload, or what the endpoint's transformation
 * makes of it, unless the endpoint's filter leaves it out. */
#pragma once

#include "base/arena.h"
#include "base/id.h"
#include "engine/engine.h"
#include "flow/endpoint.h"
#include "flow/mapper.h"
#include "flow/verdict.h"

typedef struct Letter Letter;
struct Letter {
        Job *job;
        char id[ID_TEXT]; /* of the message */
        Span body, content_type;
        /* It ends by itself, whatever becomes of the request: left out, or it cannot be mapped. */
        bool is_over;
        JobVerdict verdict;
        DeliveryCode code;
        Span message;
        /* Its own while it is written. */
        Arena *arena;
        Mapper *mapper;
        const Endpoint *endpoint;
        void (*written)(Letter *l);
        void *arg;
        MapRoot roots[2];
        MapperRun mapping;
};

/* Its body is the event's. */
void letter_init(Letter *l, Job *job);
/* `message` is copied into the arena. */
void letter_over(Letter *l, Arena *a, JobVerdict verdict, DeliveryCode code, const char *message);
/* Filters and transforms; calls written(l), on the loop's thread and perhaps before this returns.
 * What it makes lives in the arena. */
void letter_write(Letter *l, const Endpoint *p, Mapper *m, Arena *a, void (*written)(Letter *l),
                  void *arg);
