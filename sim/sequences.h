/* SPDX-License-Identifier: GPL-2.0 */
/* Sequences of operations of one thread; see sim/sequences.c. */
#ifndef _SIM_SEQUENCES_H
#define _SIM_SEQUENCES_H

#include "devices.h"

extern u64 nr_sequences, nr_states, nr_violations;

void sequences(unsigned int depth, const char *name);
void sequences_print(void);
bool sequence_replay(const struct device *d, const char *text);

#endif
