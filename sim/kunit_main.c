// SPDX-License-Identifier: GPL-2.0
/*
 * Runs the KUnit suites of kunit/ in user space and prints TAP.
 *
 * Usage: kunit [PATTERN...]    shell patterns of suite.case
 */
#include <fnmatch.h>
#include <kunit/test.h>
#include <linux/slab.h>

extern struct kunit_suite *__start_kunit_test_suites[];
extern struct kunit_suite *__stop_kunit_test_suites[];

static char **patterns;
static int nr, nr_failed, nr_skipped;

void *kunit_kzalloc(struct kunit *test, size_t size, gfp_t gfp)
{
	struct sim_kunit_memory *m = kzalloc(sizeof(*m) + size, gfp);

	if (!m)
		return NULL;
	m->next = test->memory;
	test->memory = m;
	return m + 1;
}

static bool chosen(const struct kunit_suite *s, const struct kunit_case *c)
{
	char name[512];
	char **p;

	snprintf(name, sizeof(name), "%s.%s", s->name, c->name);
	for (p = patterns; *p; p++)
		if (!fnmatch(*p, name, 0))
			return true;
	return !*patterns;
}

static void run(struct kunit_suite *s, struct kunit_case *c, const void *param, const char *desc)
{
	long objects = sim_objects();
	struct kunit test = { .param_value = param };
	int ret = s->init ? s->init(&test) : 0;

	if (ret)
		SIM_KUNIT(&test, 0, 0, "init failed: %d", ret);
	else if (!setjmp(test.end))
		c->run_case(&test);
	if (s->exit)
		s->exit(&test);
	while (test.memory) {
		struct sim_kunit_memory *m = test.memory;

		test.memory = m->next;
		kfree(m);
	}
	/* a case that ended early may not have freed its memory */
	if (!test.failed && !test.skipped)
		SIM_KUNIT(&test, 0, sim_objects() == objects, "%ld memory objects not freed",
			  sim_objects() - objects);
	nr_failed += test.failed;
	nr_skipped += !!test.skipped;
	printf("%sok %d - %s.%s%s%s%s%s\n", test.failed ? "not " : "", ++nr, s->name, c->name,
	       *desc ? " " : "", desc, test.skipped ? " # SKIP " : "", test.skipped ?: "");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct kunit_suite **s;
	struct kunit_case *c;

	patterns = argv + 1;
	for (s = __start_kunit_test_suites; s < __stop_kunit_test_suites; s++) {
		if ((*s)->suite_init && (*s)->suite_init(*s))
			return 1;
		for (c = (*s)->test_cases; c->run_case; c++) {
			char desc[KUNIT_PARAM_DESC_SIZE] = "";
			const void *param = NULL;

			if (!chosen(*s, c))
				continue;
			if (!c->generate_params)
				run(*s, c, NULL, "");
			else
				while ((param = c->generate_params(param, desc)))
					run(*s, c, param, desc);
		}
		if ((*s)->suite_exit)
			(*s)->suite_exit(*s);
	}
	printf("1..%d\n", nr);
	if (!nr)
		return 1;
	printf("# %d passed, %d failed, %d skipped\n", nr - nr_failed - nr_skipped, nr_failed,
	       nr_skipped);
	return !!nr_failed;
}
