#include "base/progress.h"

#include <catch2/catch.hpp>

using namespace fettle;

TEST_CASE("progress: share, rate and time left") {
  CHECK(progress_text("train", "images", 27000, 60000, 0, 22.5, "loss 0.41") ==
        "train  45.0 % (27,000/60,000 images)  1,200 images/s  27.5 s left  loss 0.41");
}

TEST_CASE("progress: work done before a resume does not enter the rate") {
  CHECK(progress_text("train", "steps", 150, 200, 100, 10.0, "") == "train  75.0 % (150/200 steps)  5 steps/s  10.0 s left");
}

TEST_CASE("progress: an unknown total shows no share and no time left") {
  CHECK(progress_text("hash", "files", 12, -1, 0, 1.0, "") == "hash  12 files  12 files/s");
}
