// SPDX-License-Identifier: GPL-2.0
/*
 * What goes on around the calls: disks are removed and come back, instances are attached and
 * detached by force, a processor goes and comes, the kernel asks for memory.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include "fuzz.h"

#define CPU1	"/sys/devices/system/cpu/cpu1/online"
#define DEBUGFS	"/sys/kernel/debug/"

const char * const fuzz_disks[NR_SLOTS] = { "hat-fz0", "hat-fz1", "hat-fz2", "hat-fz3", "hat-fz4" };

static const struct t_disk_opts disk_opts[NR_SLOTS] = {
	{ .mib = 64, .memory = true, .discard = true },
	{ .mib = 5000 },	/* for what is longer than a slot */
	{ .mib = 48, .memory = true, .discard = true },
	{ .mib = 80, .memory = true, .discard = true },
	{ .mib = 100, .memory = true, .discard = true },
};

#define SEALED_SLOT	3

static struct worker world;

static void set_attr(const char *kind, const char *attr, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), DEBUGFS "%s/%s", kind, attr);
	t_write(path, "%s", value);
}

void world_make(void)
{
	struct op op = {};
	u32 i;

	/* for /proc/self/fail-nth; a kernel without it is found out by what never happens */
	set_attr("failslab", "verbose", "0");
	set_attr("failslab", "ignore-gfp-wait", "N");
	set_attr("fail_page_alloc", "verbose", "0");
	set_attr("fail_page_alloc", "ignore-gfp-wait", "N");
	set_attr("fail_page_alloc", "min-order", "0");
	set_attr("fail_usercopy", "verbose", "0");
	world.nr = NR_WORKERS;
	world.rng = t_seed ^ 0x5eed;
	world.nth_fd = -1;
	world.area = fuzz_memory(AREA_LEN);
	for (i = 0; i < NR_SLOTS; i++) {
		t_nullb_make(fuzz_disks[i], disk_opts[i]);
		op.x = i << 3;
		op.y = i == SEALED_SLOT ? 3 : 0;
		if (fuzz_attach(&world, i, &op))
			t_die("attach %s", fuzz_disks[i]);
	}
}

/* Until so many calls have been made since. */
static bool wait_for_calls(u32 nr)
{
	u64 from = atomic_load(&fuzz_calls);

	while (!atomic_load(&fuzz_stop) && atomic_load(&fuzz_calls) - from < nr) {
		fuzz_rest();
		usleep(1000);
	}
	return !atomic_load(&fuzz_stop);
}

static void attach_again(u32 slot)
{
	u64 r = random_next(&world.rng);
	struct op op;

	memcpy(&op, &r, sizeof(op));
	op.x = slot << 3;
	/* first without enough memory: ATTACH needs much, so it fails at some place */
	if (world.nth_fd >= 0) {
		op.how = 3;
		op.y = random_next(&world.rng);
		fuzz_attach(&world, slot, &op);
		memcpy(&op, &r, sizeof(op));
		op.x = slot << 3;
	}
	op.how = 0;
	/* mostly as a user would */
	if (r % 4)
		op.y = slot == SEALED_SLOT ? 3 : 0;
	fuzz_attach(&world, slot, &op);
}

/* The number of the instance in a slot, or one that there is not. */
static u32 id_of(u32 slot)
{
	struct inst *inst = atomic_load(&fuzz_slot[slot]);

	return inst ? inst->id : NR_IDS;
}

static void detach_forced(u32 id)
{
	if (id < NR_IDS && !fuzz_detach(&world, id, true))
		world.events[E_FORCED]++;
}

/* The disk is unplugged; its instance is detached before or after it comes back. */
static void remove_disk(u32 slot)
{
	bool late = random_next(&world.rng) % 2;
	u32 id = id_of(slot);

	atomic_fetch_add(&fuzz_removed[slot], 1);
	t_nullb_power_off(fuzz_disks[slot]);
	atomic_fetch_add(&fuzz_removed[slot], 1);
	if (!wait_for_calls(300))
		late = false;
	if (!late)
		detach_forced(id);
	t_nullb_make(fuzz_disks[slot], disk_opts[slot]);
	if (late) {
		wait_for_calls(100);
		detach_forced(id);
	}
	attach_again(slot);
}

static void set_cpu1(bool on)
{
	if (!t_write(CPU1, "%d", on))
		world.events[E_CPU] += on;
}

static void detach_and_attach(u32 slot)
{
	detach_forced(id_of(slot));
	wait_for_calls(50);
	attach_again(slot);
}

static void act(u32 action)
{
	u32 slot = random_below(&world.rng, NR_SLOTS);

	switch (action) {
	case 0:
		set_cpu1(false);
		wait_for_calls(300);
		set_cpu1(true);
		break;
	case 1: case 2: case 3:
		if (!t_write("/proc/sys/vm/drop_caches", "2"))
			world.events[E_SHRINK]++;
		break;
	case 4:
		remove_disk(2);
		break;
	case 5:
		if (slot != 2)
			remove_disk(slot);
		break;
	case 6:		/* there is data on it */
		detach_and_attach(0);
		break;
	case 7:
		detach_and_attach(slot);
		break;
	default:
		if (!atomic_load(&fuzz_slot[slot]))
			attach_again(slot);
		else
			wait_for_calls(100);
	}
}

void *world_run(void *unused)
{
	uint8_t actions[10];
	u32 i;

	(void)unused;
	world.nth_fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	for (i = 0; i < ARRAY_SIZE(actions); i++)
		actions[i] = i;
	/* each once, in another order each time */
	for (i = 0; wait_for_calls(40); i++) {
		if (i % ARRAY_SIZE(actions) == 0)
			t_shuffle(actions, ARRAY_SIZE(actions), 1, &world.rng);
		act(actions[i % ARRAY_SIZE(actions)]);
	}
	set_cpu1(true);
	for (i = 0; i < NR_EVENTS; i++)
		atomic_fetch_add(&fuzz_events[i], world.events[i]);
	return NULL;
}

void world_end(void)
{
	struct hybrid_alloc_info info;
	int ctl = ha_control(O_RDWR);
	u32 i, e;

	for (i = 0; i < NR_KINDS; i++)
		for (e = 0; e < NR_ERRNOS; e++)
			fuzz_worker[0].count[i][e] += world.count[i][e];
	while (!ha_info(ctl, HYBRID_ALLOC_INFO_NEXT, 0, &info))
		if (ha_detach(info.id, HYBRID_ALLOC_DETACH_FORCE))
			break;
	close(ctl);
	for (i = 0; i < NR_SLOTS; i++)
		t_nullb_remove(fuzz_disks[i]);
}
