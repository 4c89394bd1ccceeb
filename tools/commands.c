// SPDX-License-Identifier: GPL-2.0
/* All commands, in the order of --help and the manual page. */

#include "hybridctl.h"

const struct command *const commands[] = {
	&attach_command, &detach_command, &list_command, &info_command,
	&alloc_command, &free_command, &split_command, &extend_command, &keep_command,
	&claim_command, &seal_command,
	&stat_command, &top_command, &watch_command, &map_command, &dump_command, &check_command,
	&replay_command, &advise_command, &trim_command, &grow_command, &drain_command,
};

const size_t nr_commands = ARRAY_SIZE(commands);
