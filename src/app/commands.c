/* SPDX-License-Identifier: Apache-2.0 */
#include "app/commands.h"

#include "app/daemon.h"
#include "cli/table.h"

#define CONFIG_DEFAULT "grapnel.yaml"

static const char *file_of(const CommandLine *l) {
        return l->n_words ? l->words[0] : CONFIG_DEFAULT;
}

static int serve(const CommandLine *l) {
        return daemon_run(file_of(l));
}

static int check(const CommandLine *l) {
        return daemon_check(file_of(l));
}

static const Command command_serve = {
        .name = "serve",
        .arguments = "[grapnel.yaml]",
        .help = "Run the daemon.",
        .more = "Reads grapnel.yaml in the current folder unless another file is named, and\n"
                "refuses to start on any error in it. Writes one line of JSON per fact to\n"
                "standard error.\n"
                "\n"
                "  SIGHUP           reads the file again; any error, and the running one stays\n"
                "  SIGTERM, SIGINT  take nothing more, finish what runs, and end within 20 s\n"
                "\n"
                "Exit code: 0 after a signal; 1 if it could not start; 3 if the ledger failed,\n"
                "and a restart recovers.\n",
        .words_max = 1,
        .run = serve,
};

static const Command command_check = {
        .name = "check",
        .arguments = "[grapnel.yaml]",
        .help = "Check a file and print every error with its place.",
        .more = "Reads grapnel.yaml in the current folder unless another file is named. Each\n"
                "error is a line `file:line:column: what is wrong`, with the line itself below\n"
                "it unless that holds a secret. ${NAME} is looked up and every jq expression is\n"
                "compiled, as `serve` does it; nothing is called and nothing is written.\n"
                "\n"
                "Exit code: 0 if it can be served, 1 if not.\n",
        .words_max = 1,
        .run = check,
};

const Command *const commands[] = {&command_serve,    &command_check,   &command_test,
                                   &command_explain,  &command_emit,    &command_endpoints,
                                   &command_backfill, &command_replay,  &command_listen,
                                   &command_secret,   &command_trigger, NULL};
