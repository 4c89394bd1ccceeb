/* SPDX-License-Identifier: GPL-2.0 */
/*
 * User-space stand-in: the parts of KUnit that the suites use. Prints TAP, see
 * sim/kunit_main.c.
 */
#ifndef _SIM_KUNIT_TEST_H
#define _SIM_KUNIT_TEST_H

#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/slab.h>

struct kunit {
	void *priv;
	const void *param_value;
	bool failed;
	const char *skipped;
	jmp_buf end;
	struct sim_kunit_memory { struct sim_kunit_memory *next; } *memory;
};

struct kunit_case {
	void (*run_case)(struct kunit *test);
	const char *name;
	const void *(*generate_params)(const void *prev, char *desc);
};

struct kunit_suite {
	const char name[256];
	int (*suite_init)(struct kunit_suite *suite);
	void (*suite_exit)(struct kunit_suite *suite);
	int (*init)(struct kunit *test);
	void (*exit)(struct kunit *test);
	struct kunit_case *test_cases;
};

#define KUNIT_CASE(f)			{ .run_case = (f), .name = #f }
#define KUNIT_CASE_PARAM(f, g)		{ .run_case = (f), .name = #f, .generate_params = (g) }
#define KUNIT_PARAM_DESC_SIZE		128
#define KUNIT_ARRAY_PARAM(n, array, get_desc)						\
static const void *n##_gen_params(const void *prev, char *desc)				\
{											\
	__typeof__((array)[0]) *next = prev ? (__typeof__(next))prev + 1 : (array);	\
											\
	if (next - (array) >= (long)ARRAY_SIZE(array))					\
		return NULL;								\
	void (*describe)(__typeof__(next), char *) = get_desc;				\
	if (describe)									\
		describe(next, desc);							\
	return next;									\
}

#define kunit_test_suites(...)								\
	static struct kunit_suite *sim_suites[] __used					\
	__attribute__((section("kunit_test_suites"))) = { __VA_ARGS__ }
#define kunit_test_suite(suite)		kunit_test_suites(&suite)

void *kunit_kzalloc(struct kunit *test, size_t size, gfp_t gfp);
#define kunit_kcalloc(t, n, size, gfp)	kunit_kzalloc(t, (size_t)(n) * (size), gfp)
#define kunit_info(t, f, ...)		printf("# " f "\n", ##__VA_ARGS__)
#define kunit_err(t, f, ...)		printf("# " f "\n", ##__VA_ARGS__)
#define kunit_skip(t, f, ...) do {			\
	(t)->skipped = f;				\
	longjmp((t)->end, 1);				\
} while (0)

#define SIM_KUNIT(t, assert, ok, f, ...) do {						\
	if (!(ok)) {									\
		(t)->failed = true;							\
		printf("# %s:%d: " f "\n", __FILE__, __LINE__, __VA_ARGS__);		\
		if (assert)								\
			longjmp((t)->end, 1);						\
	}										\
} while (0)

#define SIM_KUNIT_CMP(t, assert, a, op, b, f, ...) do {					\
	const __typeof__(a) _left = (a);						\
	const __typeof__(b) _right = (b);						\
	SIM_KUNIT(t, assert, _left op _right, "%s " #op " %s: %lld and %lld " f,	\
		  #a, #b, (long long)_left, (long long)_right, ##__VA_ARGS__);		\
} while (0)

#define KUNIT_FAIL(t, f, ...)		SIM_KUNIT(t, 0, 0, f "%s", ##__VA_ARGS__, "")
#define KUNIT_EXPECT_TRUE(t, c)		SIM_KUNIT(t, 0, c, "false: %s", #c)
#define KUNIT_EXPECT_FALSE(t, c)	SIM_KUNIT(t, 0, !(c), "true: %s", #c)
#define KUNIT_ASSERT_TRUE(t, c)		SIM_KUNIT(t, 1, c, "false: %s", #c)
#define KUNIT_ASSERT_FALSE(t, c)	SIM_KUNIT(t, 1, !(c), "true: %s", #c)
#define KUNIT_EXPECT_TRUE_MSG(t, c, f, ...)	SIM_KUNIT(t, 0, c, "false: %s " f, #c, ##__VA_ARGS__)
#define KUNIT_EXPECT_FALSE_MSG(t, c, f, ...)	SIM_KUNIT(t, 0, !(c), "true: %s " f, #c, ##__VA_ARGS__)
#define KUNIT_ASSERT_TRUE_MSG(t, c, f, ...)	SIM_KUNIT(t, 1, c, "false: %s " f, #c, ##__VA_ARGS__)
#define KUNIT_ASSERT_FALSE_MSG(t, c, f, ...)	SIM_KUNIT(t, 1, !(c), "true: %s " f, #c, ##__VA_ARGS__)
#define KUNIT_ASSERT_NOT_NULL(t, p)	SIM_KUNIT(t, 1, p, "NULL: %s", #p)
#define KUNIT_EXPECT_NOT_NULL(t, p)	SIM_KUNIT(t, 0, p, "NULL: %s", #p)
#define KUNIT_ASSERT_PTR_EQ(t, a, b)	SIM_KUNIT(t, 1, (a) == (b), "%s == %s", #a, #b)
#define KUNIT_ASSERT_PTR_NE(t, a, b)	SIM_KUNIT(t, 1, (a) != (b), "%s != %s", #a, #b)
#define KUNIT_EXPECT_NULL(t, p)		SIM_KUNIT(t, 0, !(p), "not NULL: %s", #p)
#define KUNIT_ASSERT_NOT_ERR_OR_NULL(t, p)	KUNIT_ASSERT_NOT_NULL(t, p)
#define KUNIT_EXPECT_EQ(t, a, b)	SIM_KUNIT_CMP(t, 0, a, ==, b, "")
#define KUNIT_EXPECT_NE(t, a, b)	SIM_KUNIT_CMP(t, 0, a, !=, b, "")
#define KUNIT_EXPECT_LT(t, a, b)	SIM_KUNIT_CMP(t, 0, a, <, b, "")
#define KUNIT_EXPECT_LE(t, a, b)	SIM_KUNIT_CMP(t, 0, a, <=, b, "")
#define KUNIT_EXPECT_GT(t, a, b)	SIM_KUNIT_CMP(t, 0, a, >, b, "")
#define KUNIT_EXPECT_GE(t, a, b)	SIM_KUNIT_CMP(t, 0, a, >=, b, "")
#define KUNIT_ASSERT_EQ(t, a, b)	SIM_KUNIT_CMP(t, 1, a, ==, b, "")
#define KUNIT_ASSERT_NE(t, a, b)	SIM_KUNIT_CMP(t, 1, a, !=, b, "")
#define KUNIT_ASSERT_LT(t, a, b)	SIM_KUNIT_CMP(t, 1, a, <, b, "")
#define KUNIT_ASSERT_LE(t, a, b)	SIM_KUNIT_CMP(t, 1, a, <=, b, "")
#define KUNIT_ASSERT_GT(t, a, b)	SIM_KUNIT_CMP(t, 1, a, >, b, "")
#define KUNIT_ASSERT_GE(t, a, b)	SIM_KUNIT_CMP(t, 1, a, >=, b, "")
#define KUNIT_EXPECT_EQ_MSG(t, a, b, f, ...)	SIM_KUNIT_CMP(t, 0, a, ==, b, f, ##__VA_ARGS__)
#define KUNIT_EXPECT_NE_MSG(t, a, b, f, ...)	SIM_KUNIT_CMP(t, 0, a, !=, b, f, ##__VA_ARGS__)
#define KUNIT_EXPECT_LE_MSG(t, a, b, f, ...)	SIM_KUNIT_CMP(t, 0, a, <=, b, f, ##__VA_ARGS__)
#define KUNIT_ASSERT_EQ_MSG(t, a, b, f, ...)	SIM_KUNIT_CMP(t, 1, a, ==, b, f, ##__VA_ARGS__)
#define KUNIT_ASSERT_NE_MSG(t, a, b, f, ...)	SIM_KUNIT_CMP(t, 1, a, !=, b, f, ##__VA_ARGS__)
#define KUNIT_ASSERT_LE_MSG(t, a, b, f, ...)	SIM_KUNIT_CMP(t, 1, a, <=, b, f, ##__VA_ARGS__)

#endif
