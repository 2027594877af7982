#include "ops/transformer_block.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "base/errors.h"

namespace fettle::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// In the order in which the operator takes them and gives their gradients.
enum Weight : size_t { kNorm1, kNorm1Bias, kQkv, kQkvBias, kOut, kOutBias, kNorm2, kNorm2Bias, kFc1, kFc1Bias, kFc2, kFc2Bias, kWeights };
using Weights = std::array<at::Tensor, kWeights>;

Weights weights_of(const TransformerBlock& b) {
  return {b.norm1_weight, b.norm1_bias, b.qkv_weight, b.qkv_bias, b.out_weight, b.out_bias, b.norm2_weight, b.norm2_bias, b.fc1_weight, b.fc1_bias, b.fc2_weight, b.fc2_bias};
}

// ---- runs of segments ------------------------------------------------------------------------------------------------

// About as many rows as keep a run's widest product, [rows, F], in a core's cache, and enough that operators' overhead does not show.
constexpr int64_t kRunRows = 512;

struct Group {  // neighbouring segments of one length
  int64_t first_row, count, length;
  int64_t rows() const { return count * length; }
};

struct Run {
  int64_t first_row = 0, rows = 0;
  std::vector<Group> groups;
};

// Runs of about equal size, as many for one thread as for another; a segment goes where its middle lies.
std::vector<Run> runs_of(at::IntArrayRef segments, int64_t num_rows) {
  const int64_t threads = at::get_num_threads();
  const int64_t num_runs = (num_rows + threads * kRunRows - 1) / (threads * kRunRows) * threads;
  std::vector<Run> runs;
  int64_t row = 0, last_place = -1;
  for (const int64_t length : segments) {
    if (length == 0) continue;
    const int64_t place = (2 * row + length) * num_runs / (2 * num_rows);
    if (place != last_place) runs.push_back({.first_row = row});
    last_place = place;
    Run& run = runs.back();
    if (run.groups.empty() || run.groups.back().length != length) run.groups.push_back({row, 0, length});
    ++run.groups.back().count;
    run.rows += length;
    row += length;
  }
  FT_CHECK(row == num_rows, "segments of {} rows together, {} rows", row, num_rows);
  return runs;
}

// Calls body(thread, runs of this thread). Its operators know neither autograd nor autocast.
template <class Body>
void for_each_thread(const std::vector<Run>& runs, const Body& body) {
  at::parallel_for(0, static_cast<int64_t>(runs.size()), 1, [&](int64_t begin, int64_t end) {
    const at::AutoDispatchBelowADInplaceOrView below_autograd;
    const c10::impl::ExcludeDispatchKeyGuard no_autocast(c10::autocast_dispatch_keyset);
    body(static_cast<size_t>(at::get_thread_num()), c10::ArrayRef<Run>(runs).slice(static_cast<size_t>(begin), static_cast<size_t>(end - begin)));
  });
}

int64_t longest(const std::vector<Run>& runs) {
  int64_t rows = 0;
  for (const Run& run : runs) rows = std::max(rows, run.rows);
  return rows;
}

// ---- attention within the segments of a group ------------------------------------------------------------------------

struct Heads {
  at::Tensor q, k, v;  // views, [segments, heads, length, C / heads]
};

// qkv: [rows, 3 C] of the group.
Heads heads_of(const at::Tensor& qkv, const Group& group, int64_t num_heads) {
  const at::Tensor all = qkv.view({group.count, group.length, 3, num_heads, qkv.size(1) / 3 / num_heads});
  const auto part = [&](int64_t index) { return all.select(2, index).transpose(1, 2); };
  return {part(0), part(1), part(2)};
}

// [segments, heads, length, ...] as a view of [segments * length, heads, ...], and back.
at::Tensor by_head(const at::Tensor& rows, const Group& group) {
  std::vector<int64_t> shape = rows.sizes().vec();
  shape[0] = group.length;
  shape.insert(shape.begin(), group.count);
  return rows.view(shape).transpose(1, 2);
}

// ---- forward ---------------------------------------------------------------------------------------------------------

struct Saved {
  at::Tensor x, y;          // [T, C]
  at::Tensor qkv, mixed, a; // [T, 3 C], [T, C] after attention, [T, F] before GELU, all of the products' type
  at::Tensor logsumexp;     // [T, heads]
};

struct Problem {
  Weights weights;                    // matrices and their biases of the products' type
  BranchFactors factors;
  std::vector<int64_t> segments;
  int64_t num_heads;
  double eps;
  at::ScalarType type;  // of products
};

at::Tensor part(const at::Tensor& rows, const Run& run) { return rows.narrow(0, run.first_row, run.rows); }
at::Tensor part(const at::Tensor& rows, const Group& group) { return rows.narrow(0, group.first_row, group.rows()); }

// One thread's room for a run, so that large memory is not asked for again and again.
class Scratch {
 public:
  Scratch(int64_t rows, at::TensorOptions options) : rows_(rows), options_(options) {}
  // [rows, columns] of undefined numbers, the same memory for the same slot.
  at::Tensor get(size_t slot, int64_t rows, int64_t columns) {
    at::Tensor& memory = slots_.at(slot);
    if (!memory.defined() || memory.numel() < rows * columns) memory = at::empty({std::max(rows, rows_) * columns}, options_);
    return memory.narrow(0, 0, rows * columns).view({rows, columns});
  }
  // `tensor` in the products' type: itself where it has it.
  at::Tensor cast(size_t slot, const at::Tensor& tensor) {
    if (tensor.scalar_type() == options_.dtype()) return tensor;
    return get(slot, tensor.size(0), tensor.size(1)).copy_(tensor);
  }

 private:
  int64_t rows_;
  at::TensorOptions options_;
  std::array<at::Tensor, 8> slots_;
};
enum Slot : size_t { kNormed, kBranch, kHidden, kHiddenGradient, kQkvGradient, kRowGradient, kWeightGradient };

struct Normed {
  at::Tensor out, mean, rstd;  // out: of the products' type
};

Normed norm(const Problem& p, const at::Tensor& x, Weight weight, Scratch& scratch) {
  const auto [out, mean, rstd] = at::native_layer_norm(x, p.weights[weight].sizes(), p.weights[weight], p.weights[weight + 1], p.eps);
  return {scratch.cast(kNormed, out), mean, rstd};
}

// out = x + factor * (left weight^T + bias).
void add_branch(at::Tensor out, const at::Tensor& x, const at::Tensor& left, const Problem& p, Weight weight, const at::Tensor& factor, const Run& run, Scratch& scratch) {
  const at::Tensor &matrix = p.weights[weight], &bias = p.weights[weight + 1];
  if (!factor.defined() && p.type == x.scalar_type()) {
    at::add_out(out, x, bias);
    out.addmm_(left, matrix.t());
    return;
  }
  at::Tensor branch = scratch.get(kBranch, out.size(0), out.size(1));
  at::addmm_out(branch, bias, left, matrix.t());
  if (!factor.defined()) {
    out.copy_(branch).add_(x);
  } else {
    at::addcmul_out(out, x, branch.to(x.scalar_type()), part(factor, run));
  }
}

// z of all rows. What the backward pass needs is left in `saved` where its tensors have all rows; otherwise they are one thread's scratch.
at::Tensor forward_rows(const Problem& p, const at::Tensor& x, Saved* saved) {
  const int64_t num_rows = x.size(0), channels = x.size(1), hidden = p.weights[kFc1].size(0);
  at::Tensor z = at::empty_like(x);
  if (num_rows == 0) return z;
  const std::vector<Run> runs = runs_of(p.segments, num_rows);
  const auto products = x.options().dtype(p.type).requires_grad(false);
  const auto allocate = [&](int64_t rows) {
    return Saved{x, at::empty({rows, channels}, x.options()), at::empty({rows, 3 * channels}, products), at::empty({rows, channels}, products), at::empty({rows, hidden}, products),
                 saved != nullptr ? at::empty({rows, p.num_heads}, products.dtype(p.type == at::kDouble ? at::kDouble : at::kFloat)) : at::Tensor()};
  };
  if (saved != nullptr) *saved = allocate(num_rows);
  const int64_t longest_run = longest(runs);
  for_each_thread(runs, [&](size_t, c10::ArrayRef<Run> own) {
    const Saved kept = saved != nullptr ? *saved : allocate(longest_run);
    Scratch scratch(longest_run, products);
    for (const Run& run : own) {
      const Run place{saved != nullptr ? run.first_row : 0, run.rows, {}};
      const at::Tensor x_run = part(x, run), y = part(kept.y, place), mixed = part(kept.mixed, place);
      at::Tensor qkv = part(kept.qkv, place), a = part(kept.a, place), h = scratch.get(kHidden, run.rows, hidden);
      at::addmm_out(qkv, p.weights[kQkvBias], norm(p, x_run, kNorm1, scratch).out, p.weights[kQkv].t());
      for (Group group : run.groups) {
        group.first_row -= run.first_row;
        const Heads heads = heads_of(part(qkv, group), group, p.num_heads);
        const auto [out, logsumexp] = at::_scaled_dot_product_flash_attention_for_cpu(heads.q, heads.k, heads.v);
        const at::Tensor to = part(mixed, group);
        by_head(to.view({to.size(0), p.num_heads, -1}), group).copy_(out);
        if (saved != nullptr) by_head(part(part(kept.logsumexp, place), group), group).copy_(logsumexp);
      }
      add_branch(y, x_run, mixed, p, kOut, p.factors.attention, run, scratch);
      at::addmm_out(a, p.weights[kFc1Bias], norm(p, y, kNorm2, scratch).out, p.weights[kFc1].t());
      at::gelu_out(h, a);
      add_branch(part(z, run), y, h, p, kFc2, p.factors.ffn, run, scratch);
    }
  });
  return z;
}

// ---- backward --------------------------------------------------------------------------------------------------------

// Of a segment of at most so many rows the whole map of attention is made again: a few large products, where LibTorch's own backward pass
// makes many of 32 rows, each of which in bf16 costs more to prepare than to compute.
constexpr int64_t kMapRows = 256;

struct Attended {
  at::Tensor out, logsumexp, dout;  // [segments, heads, length, C / heads], logsumexp without the last
};

// to = the gradients of q, k and v.
void attention_backward(const Heads& heads, const Attended& attended, const Heads& to) {
  const int64_t count = heads.q.size(0), num_heads = heads.q.size(1), length = heads.q.size(2), width = heads.q.size(3);
  if (length > kMapRows) {
    const auto [dq, dk, dv] = at::_scaled_dot_product_flash_attention_for_cpu_backward(attended.dout, heads.q, heads.k, heads.v, attended.out, attended.logsumexp, 0, false);
    to.q.copy_(dq);
    to.k.copy_(dk);
    to.v.copy_(dv);
    return;
  }
  const at::ScalarType products = heads.q.scalar_type(), sums = attended.logsumexp.scalar_type();
  const double scale = 1 / std::sqrt(static_cast<double>(width));
  const auto matrices = [&](const at::Tensor& t, at::ScalarType type) { return t.to(type).contiguous().view({count * num_heads, length, width}); };
  const auto rows_like = [&](const at::Tensor& t) { return t.reshape({count * num_heads, length, 1}); };
  // The map in full precision: rounded scores would not be those of the forward pass.
  const at::Tensor q = matrices(heads.q, products), k = matrices(heads.k, products), dout = matrices(attended.dout, products);
  at::Tensor map = at::bmm(q.to(sums), k.to(sums).transpose(1, 2)).mul_(scale).sub_(rows_like(attended.logsumexp)).exp_();
  const at::Tensor dot = rows_like((attended.dout.to(sums) * attended.out).sum(at::IntArrayRef{-1}));
  const auto give = [&](const at::Tensor& gradient, const at::Tensor& from) { gradient.copy_(from.view({count, num_heads, length, width})); };
  give(to.v, at::bmm(map.to(products).transpose(1, 2), dout));
  map.mul_(at::bmm(dout, matrices(heads.v, products).transpose(1, 2)).to(sums).sub_(dot)).mul_(scale);
  const at::Tensor dscores = map.to(products);
  give(to.q, at::bmm(dscores, k));
  give(to.k, at::bmm(dscores.transpose(1, 2), q));
}

using Needed = std::array<bool, kWeights>;

// The gradients of the weights that one thread's rows give, in x's type.
class WeightGradients {
 public:
  WeightGradients(const Problem& p, const Needed& needed, at::ScalarType type) : needed_(needed) {
    for (size_t i = 0; i < kWeights; ++i) {
      if (needed[i]) sums[i] = at::zeros(p.weights[i].sizes(), p.weights[i].options().dtype(type));
    }
  }
  // weight += d^T input, bias += sum of d's rows.
  void add(Weight weight, const at::Tensor& d, const at::Tensor& input, Scratch& scratch) {
    if (needed_[weight]) {
      at::Tensor& sum = sums[weight];
      if (d.scalar_type() == sum.scalar_type()) {
        sum.addmm_(d.t(), input);
      } else {
        at::Tensor product = scratch.get(kWeightGradient, sum.size(0), sum.size(1));
        sum.add_(at::mm_out(product, d.t(), input));
      }
    }
    if (needed_[weight + 1]) sums[weight + 1].add_(d.sum(at::IntArrayRef{0}, /*keepdim=*/false, sums[weight + 1].scalar_type()));
  }
  Weights sums;

 private:
  Needed needed_;
};

// dx: the gradient so far; adds what comes through the norm of `x`.
void add_norm_backward(const Problem& p, const at::Tensor& d, const at::Tensor& x, const Normed& normed, Weight weight, const at::Tensor& dx, WeightGradients& gradients, const Needed& needed) {
  const at::Tensor& gamma = p.weights[weight];
  const auto [through, dweight, dbias] =
      at::native_layer_norm_backward(d.to(x.scalar_type()), x, gamma.sizes(), normed.mean, normed.rstd, gamma, p.weights[weight + 1], {true, needed[weight], needed[weight + 1]});
  dx.add_(through);
  if (needed[weight]) gradients.sums[weight].add_(dweight);
  if (needed[weight + 1]) gradients.sums[weight + 1].add_(dbias);
}

// The gradient of the branch's product.
at::Tensor branch_gradient(const at::Tensor& d, const at::Tensor& factor, const Run& run, Scratch& scratch) {
  return scratch.cast(kBranch, factor.defined() ? d.mul(part(factor, run)) : d);
}

at::Tensor backward_rows(const Problem& p, const Saved& saved, const at::Tensor& dz, const Needed& needed, Weights& weight_gradients) {
  at::Tensor dx = at::empty_like(saved.x);
  const int64_t channels = saved.x.size(1), hidden = p.weights[kFc1].size(0);
  std::vector<std::optional<WeightGradients>> of_thread(static_cast<size_t>(at::get_num_threads()));
  if (saved.x.size(0) > 0) {
    const std::vector<Run> runs = runs_of(p.segments, saved.x.size(0));
    const int64_t longest_run = longest(runs);
    for_each_thread(runs, [&](size_t thread, c10::ArrayRef<Run> own) {
      WeightGradients& gradients = of_thread[thread].emplace(p, needed, saved.x.scalar_type());
      Scratch scratch(longest_run, saved.a.options());
      for (const Run& run : own) {
        at::Tensor h = scratch.get(kHidden, run.rows, hidden), dh = scratch.get(kHiddenGradient, run.rows, hidden), drows = scratch.get(kRowGradient, run.rows, channels), d = part(dx, run);
        const at::Tensor a = part(saved.a, run), y = part(saved.y, run), x = part(saved.x, run);
        d.copy_(part(dz, run));
        {
          const at::Tensor db = branch_gradient(d, p.factors.ffn, run, scratch);
          at::gelu_out(h, a);
          gradients.add(kFc2, db, h, scratch);
          at::mm_out(dh, db, p.weights[kFc2]);
          at::gelu_backward_out(h, dh, a);  // h is used up: its room holds the gradient of a
          const Normed normed = norm(p, y, kNorm2, scratch);
          gradients.add(kFc1, h, normed.out, scratch);
          add_norm_backward(p, at::mm_out(drows, h, p.weights[kFc1]), y, normed, kNorm2, d, gradients, needed);
        }
        const at::Tensor db = branch_gradient(d, p.factors.attention, run, scratch), mixed = part(saved.mixed, run), qkv = part(saved.qkv, run), logsumexp = part(saved.logsumexp, run);
        gradients.add(kOut, db, mixed, scratch);
        const at::Tensor dmixed = at::mm_out(drows, db, p.weights[kOut]).view({run.rows, p.num_heads, -1}), mixed_heads = mixed.view({run.rows, p.num_heads, -1});
        const at::Tensor dqkv = scratch.get(kQkvGradient, run.rows, 3 * channels);
        for (Group group : run.groups) {
          group.first_row -= run.first_row;
          const Heads heads = heads_of(part(qkv, group), group, p.num_heads), to = heads_of(part(dqkv, group), group, p.num_heads);
          attention_backward(heads, {by_head(part(mixed_heads, group), group), by_head(part(logsumexp, group), group), by_head(part(dmixed, group), group)}, to);
        }
        const Normed normed = norm(p, x, kNorm1, scratch);
        gradients.add(kQkv, dqkv, normed.out, scratch);
        add_norm_backward(p, at::mm_out(drows, dqkv, p.weights[kQkv]), x, normed, kNorm1, d, gradients, needed);
      }
    });
  }
  for (const std::optional<WeightGradients>& gradients : of_thread) {
    if (!gradients) continue;
    for (size_t i = 0; i < kWeights; ++i) {
      if (needed[i]) weight_gradients[i] = weight_gradients[i].defined() ? weight_gradients[i].add_(gradients->sums[i]) : gradients->sums[i];
    }
  }
  for (size_t i = 0; i < kWeights; ++i) {
    if (needed[i] && !weight_gradients[i].defined()) weight_gradients[i] = at::zeros(p.weights[i].sizes(), saved.x.options());
  }
  return dx;
}

// ---- operator --------------------------------------------------------------------------------------------------------

constexpr bool is_matrix_side(size_t weight) { return weight != kNorm1 && weight != kNorm1Bias && weight != kNorm2 && weight != kNorm2Bias; }

Weights in_type(const Weights& weights, at::ScalarType type) {
  Weights cast = weights;
  for (size_t i = 0; i < kWeights; ++i) cast[i] = is_matrix_side(i) ? weights[i].detach().to(type) : weights[i].detach();
  return cast;
}

class TransformerBlockFunction : public torch::autograd::Function<TransformerBlockFunction> {
 public:
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, at::TensorList weights, const Problem& problem) {
    FT_CHECK(weights.size() == kWeights);
    Saved saved;
    at::Tensor z = forward_rows(problem, x, &saved);
    variable_list kept = {x, saved.y, saved.qkv, saved.mixed, saved.a, saved.logsumexp, problem.factors.attention, problem.factors.ffn};
    kept.insert(kept.end(), problem.weights.begin(), problem.weights.end());
    ctx->save_for_backward(kept);
    ctx->saved_data["segments"] = problem.segments;
    ctx->saved_data["num_heads"] = problem.num_heads;
    ctx->saved_data["eps"] = problem.eps;
    return z;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& gradients) {
    const variable_list kept = ctx->get_saved_variables();
    const Saved saved{kept[0], kept[1], kept[2], kept[3], kept[4], kept[5]};
    Problem problem{.factors = {kept[6], kept[7]},
                    .segments = ctx->saved_data["segments"].toIntVector(),
                    .num_heads = ctx->saved_data["num_heads"].toInt(),
                    .eps = ctx->saved_data["eps"].toDouble(),
                    .type = saved.a.scalar_type()};
    Needed needed;
    for (size_t i = 0; i < kWeights; ++i) {
      problem.weights[i] = kept[8 + i];
      needed[i] = ctx->needs_input_grad(1 + i);
    }
    Weights weight_gradients;
    variable_list out = {backward_rows(problem, saved, gradients[0], needed, weight_gradients)};
    out.insert(out.end(), weight_gradients.begin(), weight_gradients.end());
    out.emplace_back();
    return out;
  }
};

void check_block(const Weights& weights, const TransformerBlock& block, const at::Tensor& x, const BranchFactors& factors) {
  FT_CHECK(x.dim() == 2 && x.size(1) % block.num_heads == 0, "rows of {} numbers and {} heads", x.dim() == 2 ? x.size(1) : 0, block.num_heads);
  for (const at::Tensor& weight : weights) FT_CHECK(weight.scalar_type() == x.scalar_type() && weight.device() == x.device(), "transformer_block takes tensors of one type on one device");
  for (const at::Tensor& factor : {factors.attention, factors.ffn}) {
    FT_CHECK(!factor.defined() || (factor.dim() == 2 && factor.size(0) == x.size(0) && factor.scalar_type() == x.scalar_type()), "factors of branches are [T, C] or [T, 1], of x's type");
  }
}

}  // namespace

at::Tensor transformer_block(const TransformerBlock& block, const at::Tensor& x, const std::vector<int64_t>& segments, const BranchFactors& factors) {
  if (!x.is_cpu()) return composed_transformer_block(block, x, segments, factors);
  const Weights weights = weights_of(block);
  check_block(weights, block, x, factors);
  const at::ScalarType type = at::autocast::is_autocast_enabled(at::kCPU) && x.scalar_type() == at::kFloat ? at::autocast::get_autocast_dtype(at::kCPU) : x.scalar_type();
  const Problem problem{in_type(weights, type), factors, segments, block.num_heads, block.eps, type};
  const bool with_gradient = at::GradMode::is_enabled() &&
                             (x.requires_grad() || std::any_of(weights.begin(), weights.end(), [](const at::Tensor& weight) { return weight.requires_grad(); }));
  if (!with_gradient) return forward_rows(problem, x.contiguous(), nullptr);
  return TransformerBlockFunction::apply(x.contiguous(), at::TensorList(weights), problem);
}

at::Tensor composed_transformer_block(const TransformerBlock& block, const at::Tensor& x, const std::vector<int64_t>& segments, const BranchFactors& factors) {
  check_block(weights_of(block), block, x, factors);
  const int64_t channels = x.size(1);
  const auto branch = [](const at::Tensor& from, const at::Tensor& added, const at::Tensor& factor) { return from + (factor.defined() ? added * factor : added); };
  const at::Tensor qkv = at::linear(at::layer_norm(x, {channels}, block.norm1_weight, block.norm1_bias, block.eps), block.qkv_weight, block.qkv_bias);

  // Segments of one length go together; `order` is where each row of x lies among theirs.
  std::map<int64_t, std::vector<int64_t>> first_rows;
  int64_t row = 0;
  for (const int64_t length : segments) {
    if (length > 0) first_rows[length].push_back(row);
    row += length;
  }
  FT_CHECK(row == x.size(0), "segments of {} rows together, {} rows", row, x.size(0));
  std::vector<at::Tensor> parts, rows_of_parts;
  for (const auto& [length, firsts] : first_rows) {
    const auto count = static_cast<int64_t>(firsts.size());
    const at::Tensor rows = (at::tensor(firsts, at::kLong).unsqueeze(1) + at::arange(length, at::kLong)).flatten().to(x.device());
    const Heads heads = heads_of(qkv.index_select(0, rows), {0, count, length}, block.num_heads);
    parts.push_back(at::scaled_dot_product_attention(heads.q, heads.k, heads.v).transpose(1, 2).reshape({count * length, channels}));
    rows_of_parts.push_back(rows);
  }
  const at::Tensor mixed = parts.empty() ? qkv.narrow(1, 0, channels) : at::cat(parts).index_select(0, at::argsort(at::cat(rows_of_parts)));
  const at::Tensor y = branch(x, at::linear(mixed, block.out_weight, block.out_bias), factors.attention);
  const at::Tensor h = at::gelu(at::linear(at::layer_norm(y, {channels}, block.norm2_weight, block.norm2_bias, block.eps), block.fc1_weight, block.fc1_bias));
  return branch(y, at::linear(h, block.fc2_weight, block.fc2_bias), factors.ffn);
}

}  // namespace fettle::ops
