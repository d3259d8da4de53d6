#include "common/histogram.h"

#include <algorithm>
#include <memory>
#include <random>
#include <vector>

#include "common/ipc/scoreboard.h"
#include "support/catch.h"

using namespace pronghorn;

namespace {

template <class H>
void check_against_sorted(std::mt19937_64& random, double tolerance) {
  const auto histogram = std::make_unique<H>();
  std::vector<std::uint64_t> values;
  std::lognormal_distribution<double> shape(6.0, 2.5);
  for (int i = 0; i < 20'000; ++i) {
    const auto value = static_cast<std::uint64_t>(std::min(shape(random), 1e8));
    values.push_back(value);
    histogram->record(value);
  }
  std::sort(values.begin(), values.end());
  typename H::Sum sum;
  sum.add(*histogram);
  CHECK(sum.total == values.size());
  CHECK(sum.max == values.back());
  for (const double share : {0.0, 0.1, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    const auto rank =
        std::min<std::size_t>(static_cast<std::size_t>(share * static_cast<double>(values.size())), values.size() - 1);
    const auto exact = static_cast<double>(values[rank]);
    const auto shown = static_cast<double>(sum.percentile(share));
    INFO("share " << share << " exact " << exact << " shown " << shown);
    CHECK(shown >= exact);
    CHECK(shown <= exact * (1 + tolerance) + 1);
  }
}

}  // namespace

TEST_CASE("percentiles are as accurate as the histogram promises") {
  std::mt19937_64 random(20261122);
  check_against_sorted<LatencyHistogram>(random, 1.0 / 16);
  check_against_sorted<RouteHistogram>(random, 1.0 / 8);
}

TEST_CASE("every value falls into the bucket whose edges surround it") {
  for (std::size_t bucket = 0; bucket + 1 < LatencyHistogram::kBuckets; ++bucket) {
    const std::uint64_t upper = LatencyHistogram::upper_edge(bucket);
    REQUIRE(LatencyHistogram::index(upper) == bucket);
    REQUIRE(LatencyHistogram::index(upper + 1) == bucket + 1);
  }
}

TEST_CASE("a latency beyond the histogram is counted in its last bucket") {
  const auto histogram = std::make_unique<LatencyHistogram>();
  histogram->record(UINT64_MAX);
  LatencyHistogram::Sum sum;
  sum.add(*histogram);
  CHECK(sum.counts.back() == 1);
  CHECK(sum.max == UINT64_MAX);
}

TEST_CASE("a histogram without values answers zero") {
  const LatencyHistogram::Sum sum;
  CHECK(sum.percentile(0.5) == 0);
}

TEST_CASE("histograms of several workers add up to one") {
  const auto a = std::make_unique<LatencyHistogram>();
  const auto b = std::make_unique<LatencyHistogram>();
  for (std::uint64_t i = 0; i < 10; ++i) a->record(i);
  b->record(5'000);
  LatencyHistogram::Sum first;
  LatencyHistogram::Sum second;
  first.add(*a);
  second.add(*b);
  first.add(second);
  CHECK(first.total == 11);
  CHECK(first.max == 5'000);
  CHECK(first.percentile(1.0) == 5'000);
}
