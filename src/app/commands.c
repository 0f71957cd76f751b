/* SPDX-License-Identifier: Apache-2.0 */
#include "app/commands.h"

#include "app/daemon.h"
#include "cli/table.h"

#define CONFIG_DEFAULT "grapnel.yaml"

static int serve(int argc, char **argv) {
        return daemon_run(argc > 1 ? argv[1] : CONFIG_DEFAULT);
}

static int check(int argc, char **argv) {
        return daemon_check(argc > 1 ? argv[1] : CONFIG_DEFAULT);
}

static const Command command_serve = {
        .name = "serve",
        .arguments = "[grapnel.yaml]",
        .help = "Run the daemon.",
        .more = "Refuses to start on any error in the file. SIGHUP reads it again and changes over "
                "only if it is whole; SIGTERM finishes what runs and ends.",
        .run = serve,
};

static const Command command_check = {
        .name = "check",
        .arguments = "[grapnel.yaml]",
        .help = "Check a configuration and print every error with its place.",
        .more = "Compiles every expression too. Exit code 1 when anything is wrong.",
        .run = check,
};

const Command *const commands[] = {&command_serve, &command_check, &command_secret, NULL};
