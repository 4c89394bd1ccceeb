// SPDX-License-Identifier: GPL-2.0
/*
 * libhybridalloc from C++: extents that are freed by their destructor, the map in a
 * container, structures without the word struct.
 *
 * usage: cxx NODE
 */
#include <cstdio>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <fcntl.h>

#include "hybridalloc.h"

namespace {

void must(int ret, const char *what)
{
	if (ret < 0)
		throw std::system_error(-ret, std::generic_category(), what);
}

class instance {
public:
	explicit instance(const std::string &node) : fd_(hybrid_alloc_open(node.c_str(), O_RDWR))
	{
		must(fd_, "open");
	}

	~instance() { hybrid_alloc_close(fd_); }
	instance(const instance &) = delete;
	instance &operator=(const instance &) = delete;
	int fd() const { return fd_; }

	uint64_t charged() const
	{
		hybrid_alloc_stat st = {};

		st.size = sizeof(st);
		must(hybrid_alloc_get_stat(fd_, &st), "stat");
		return st.charged;
	}

	std::vector<hybrid_alloc_extent> live() const
	{
		hybrid_alloc_map_iter *it;
		hybrid_alloc_map_entry e;
		std::vector<hybrid_alloc_extent> found;
		int ret;

		must(hybrid_alloc_map_begin(fd_, 0, 0, &it), "map");
		while ((ret = hybrid_alloc_map_next(it, &e, sizeof(e))) == 1)
			if (e.state == HYBRID_ALLOC_MAP_LIVE)
				found.push_back({ e.start, e.len, 0, 0, 0 });
		hybrid_alloc_map_end(it);
		must(ret, "map");
		return found;
	}

private:
	int fd_;
};

class extent {
public:
	extent(const instance &on, uint64_t len) : on_(&on)
	{
		must(hybrid_alloc_alloc_extent(on.fd(), len, &e_), "alloc");
	}

	extent(extent &&other) noexcept : on_(other.on_), e_(other.e_) { other.on_ = nullptr; }
	extent(const extent &) = delete;
	extent &operator=(const extent &) = delete;

	~extent()
	{
		uint32_t reason;

		if (on_ && hybrid_alloc_free_extent(on_->fd(), &e_, &reason))
			std::fprintf(stderr, "free: %s\n", hybrid_alloc_strreason(reason));
	}

private:
	const instance *on_;
	hybrid_alloc_extent e_;
};

void run(const std::string &node)
{
	instance on(node);
	const uint64_t before = on.charged();
	std::vector<extent> own;

	for (unsigned i = 1; i <= 100; i++)
		own.emplace_back(on, i * 4096);
	if (on.charged() != before + 5050 * 4096)
		throw std::runtime_error("allocated space is not charged");
	if (on.live().size() != own.size())
		throw std::runtime_error("the map does not show each extent");
	own.clear();
	if (on.charged() != before || !on.live().empty())
		throw std::runtime_error("an extent was not freed");

	hybrid_alloc_alloc request = {};

	request.size = sizeof(request);
	request.len = 0;
	try {
		must(hybrid_alloc_alloc_request(on.fd(), &request), "alloc_request");
	} catch (const std::system_error &e) {
		if (e.code() == std::errc::invalid_argument)
			return;
		throw;
	}
	throw std::runtime_error("a length of 0 was allocated");
}

} // namespace

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	try {
		run(argv[1]);
	} catch (const std::exception &e) {
		std::fprintf(stderr, "%s\n", e.what());
		return 1;
	}
	return 0;
}
