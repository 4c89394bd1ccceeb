// SPDX-License-Identifier: GPL-2.0
/*
 * A module that makes the mistake it is told to, so that a test can see whether
 * the debug kernel reports it and tests/vm/run notices.
 */
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

static char *kind;
module_param(kind, charp, 0);
MODULE_PARM_DESC(kind, "warn, use-after-free, leak, sleep, lock-order, shift");

static DEFINE_MUTEX(first);
static DEFINE_MUTEX(second);
static DEFINE_SPINLOCK(spin);
/* volatile: the compiler shall not see through the mistakes */
static int *volatile pointer;
static volatile int bits = 40;

static void lock_order(void)
{
	mutex_lock(&first);
	mutex_lock(&second);
	mutex_unlock(&second);
	mutex_unlock(&first);

	mutex_lock(&second);
	mutex_lock(&first);
	mutex_unlock(&first);
	mutex_unlock(&second);
}

static int __init mistakes_init(void)
{
	int i;

	if (!strcmp(kind, "warn")) {
		WARN_ON(1);
	} else if (!strcmp(kind, "use-after-free")) {
		pointer = kmalloc(64, GFP_KERNEL);
		kfree(pointer);
		WRITE_ONCE(*pointer, 1);
	} else if (!strcmp(kind, "leak")) {
		/* several, as a stale copy of one may lie on a stack */
		for (i = 0; i < 10; i++)
			pointer = kmalloc(64, GFP_KERNEL);
		pointer = NULL;
	} else if (!strcmp(kind, "sleep")) {
		spin_lock(&spin);
		might_sleep();
		spin_unlock(&spin);
	} else if (!strcmp(kind, "lock-order")) {
		lock_order();
	} else if (!strcmp(kind, "shift")) {
		bits = 1 << bits;
	} else {
		return -EINVAL;
	}
	return 0;
}

static void __exit mistakes_exit(void)
{
}

module_init(mistakes_init);
module_exit(mistakes_exit);
MODULE_DESCRIPTION("mistakes on purpose");
MODULE_LICENSE("GPL");
