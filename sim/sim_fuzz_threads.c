#include <stdlib.h>
#include "sim_fuzz.h"
void fuzz_threads(struct fuzzer *z, u64 ops) { abort(); }
