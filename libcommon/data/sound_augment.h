#pragma once
// What training draws for sounds before they are written as files: what the paper (arXiv 2306.00238) did to Speech Commands, in the order
// of its public code.
//
//   background   a stretch of another sound, from a place drawn evenly, repeated where it is too short, times 10^(background_db / 20), is added
//   roll         by whole samples, even within +- roll of their number: what leaves at one end comes back at the other
//   MixUp        x <- lambda x + (1 - lambda) x', lambda ~ Beta(alpha, alpha), and so the targets: x' is any sample of the training set, with
//                draws of its own of the above

#include <cstdint>
#include <string>
#include <vector>

#include "random/stream.h"

namespace fettle {

struct SoundAugmentOptions {
  std::string background;      // a sound, or a folder of them; empty: none
  double background_db = -50;  // of full scale
  double roll = 0;             // share of the samples, 0 to 0.5
  double mixup_alpha = 0;      // 0: none
};

class SoundAugment {
 public:
  // Reads the background whole. Errors (kInput): a file of it that is no sound, more than 2^28 samples together.
  explicit SoundAugment(const SoundAugmentOptions& options);

  // Background and roll, in place. Error(kInput), beginning with the name: the background has another rate.
  void apply(std::vector<float>& mono, int64_t sample_rate_hz, const std::string& name, RandomStream& stream) const;

  // The weight of a sample beside its partner's; 1: it has none.
  double draw_weight(RandomStream& stream) const;

 private:
  struct Background {
    std::string name;
    int64_t sample_rate_hz;
    std::vector<float> mono;
  };
  SoundAugmentOptions options_;
  std::vector<Background> backgrounds_;
};

}  // namespace fettle
