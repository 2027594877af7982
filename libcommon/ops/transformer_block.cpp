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
#include "device/kernels.h"
#include "ops/matrix_products.h"
#include "ops/segment_attention.h"

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
std::vector<Run> runs_of(at::IntArrayRef segments, int64_t num_rows, int64_t threads) {
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

// One thread's room for a run, so that large memory is not asked for again and again.
class Scratch {
 public:
  explicit Scratch(at::TensorOptions options) : options_(options) {}
  // [rows, columns] of undefined numbers, the same memory for the same slot.
  at::Tensor get(size_t slot, int64_t rows, int64_t columns) {
    at::Tensor& memory = slots_.at(slot);
    if (!memory.defined() || memory.numel() < rows * columns) memory = at::empty({rows * columns}, options_);
    return memory.narrow(0, 0, rows * columns).view({rows, columns});
  }
  // `tensor` in the products' type, with zeros below up to padded_rows(): itself where it is that.
  at::Tensor padded(size_t slot, const at::Tensor& tensor) {
    const int64_t rows = tensor.size(0), all = padded_rows(rows);
    if (tensor.scalar_type() == options_.dtype() && rows == all) return tensor;
    at::Tensor copy = get(slot, all, tensor.size(1));
    copy.narrow(0, 0, rows).copy_(tensor);
    copy.narrow(0, rows, all - rows).zero_();
    return copy;
  }

  // So many undefined numbers, for kernels.
  float* floats(int64_t count) {
    if (!floats_.defined() || floats_.numel() < count) floats_ = at::empty({count}, at::kFloat);
    return floats_.mutable_data_ptr<float>();
  }

 private:
  at::TensorOptions options_;
  std::array<at::Tensor, 4> slots_;
  at::Tensor floats_;
};
enum Slot : size_t { kNormed, kBranch, kHidden, kQkvGradient };

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

// All of the group's rows, on the calling thread; logsumexp may be undefined. Long segments, and doubles, are LibTorch's.
void attend(const at::Tensor& qkv, const Group& group, int64_t num_heads, at::Tensor out, at::Tensor logsumexp, Scratch& scratch) {
  if (attends_segments(qkv, group.length, num_heads)) {
    const kernels::SegmentAttentionShape shape = segment_attention_shape(qkv, group.length, num_heads);
    check_kernel(kernels::segment_attention_forward(shape, {.qkv = qkv.const_data_ptr(),
                                                            .out = out.mutable_data_ptr(),
                                                            .logsumexp = logsumexp.defined() ? logsumexp.mutable_data_ptr<float>() : nullptr,
                                                            .workspace = scratch.floats(kernels::segment_attention_workspace(shape))}),
                 "segment_attention");
    return;
  }
  const Heads heads = heads_of(qkv, group, num_heads);
  const auto [all, sums] = at::_scaled_dot_product_flash_attention_for_cpu(heads.q, heads.k, heads.v);
  by_head(out.view({out.size(0), num_heads, -1}), group).copy_(all);
  if (logsumexp.defined()) by_head(logsumexp, group).copy_(sums);
}

struct Attended {
  at::Tensor out, logsumexp, dout;  // [rows, C], [rows, heads], [rows, C]
};

void attend_backward(const at::Tensor& qkv, const Group& group, int64_t num_heads, const Attended& attended, at::Tensor dqkv, Scratch& scratch) {
  if (attends_segments(qkv, group.length, num_heads)) {
    const kernels::SegmentAttentionShape shape = segment_attention_shape(qkv, group.length, num_heads);
    check_kernel(kernels::segment_attention_backward(shape, {.qkv = qkv.const_data_ptr(),
                                                             .out = attended.out.const_data_ptr(),
                                                             .logsumexp = attended.logsumexp.const_data_ptr<float>(),
                                                             .dout = attended.dout.const_data_ptr(),
                                                             .dqkv = dqkv.mutable_data_ptr(),
                                                             .workspace = scratch.floats(kernels::segment_attention_workspace(shape))}),
                 "segment_attention");
    return;
  }
  const auto by_heads = [&](const at::Tensor& rows) { return by_head(rows.view({rows.size(0), num_heads, -1}), group); };
  const Heads heads = heads_of(qkv, group, num_heads), to = heads_of(dqkv, group, num_heads);
  const auto [dq, dk, dv] =
      at::_scaled_dot_product_flash_attention_for_cpu_backward(by_heads(attended.dout), heads.q, heads.k, heads.v, by_heads(attended.out), by_head(attended.logsumexp, group), 0, false);
  to.q.copy_(dq);
  to.k.copy_(dk);
  to.v.copy_(dv);
}

// ---- forward ---------------------------------------------------------------------------------------------------------

// What the backward pass needs of a run: its rows first, below them zeros or numbers that nothing is made of.
struct Saved {
  at::Tensor y;              // [rows, C]
  at::Tensor qkv, mixed, a;  // [padded rows, 3 C], [.., C] after attention, [.., F] before GELU, all of the products' type
  at::Tensor logsumexp;      // [rows, heads]
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


// Calls body(index of the run, thread, scratch of the thread). Its operators know neither autograd nor autocast.
template <class Body>
void for_each_run(const std::vector<Run>& runs, at::TensorOptions products, const Body& body) {
  at::parallel_for(0, static_cast<int64_t>(runs.size()), 1, [&](int64_t begin, int64_t end) {
    const at::AutoDispatchBelowADInplaceOrView below_autograd;
    const c10::impl::ExcludeDispatchKeyGuard no_autocast(c10::autocast_dispatch_keyset);
    Scratch scratch(products);
    for (int64_t index = begin; index < end; ++index) body(static_cast<size_t>(index), static_cast<size_t>(at::get_thread_num()), scratch);
  });
}

struct Normed {
  at::Tensor out, mean, rstd;  // out: padded, of the products' type
};

Normed norm(const Problem& p, const at::Tensor& x, Weight weight, Scratch& scratch) {
  const auto [out, mean, rstd] = at::native_layer_norm(x, p.weights[weight].sizes(), p.weights[weight], p.weights[weight + 1], p.eps);
  return {scratch.padded(kNormed, out), mean, rstd};
}

at::Tensor product(const Problem& p, const at::Tensor& left, Weight weight) { return ops::product(left, p.weights[weight], p.weights[weight + 1]); }

// out = x + factor * branch.
void add_branch(at::Tensor out, const at::Tensor& x, const at::Tensor& branch, const at::Tensor& factor, const Run& run) {
  const at::Tensor rows = branch.narrow(0, 0, run.rows);
  if (factor.defined()) {
    at::addcmul_out(out, x, rows.to(x.scalar_type()), part(factor, run));
  } else if (rows.scalar_type() == x.scalar_type()) {
    at::add_out(out, x, rows);
  } else {
    out.copy_(rows).add_(x);
  }
}

// z of all rows; `saved` gets what the backward pass needs of each run.
at::Tensor forward_rows(const Problem& p, const at::Tensor& x, const std::vector<Run>& runs, std::vector<Saved>* saved) {
  at::Tensor z = at::empty_like(x);
  if (saved != nullptr) saved->resize(runs.size());
  for_each_run(runs, x.options().dtype(p.type).requires_grad(false), [&](size_t index, size_t, Scratch& scratch) {
    const Run& run = runs[index];
    const at::Tensor x_run = part(x, run);
    Saved kept;
    kept.qkv = product(p, norm(p, x_run, kNorm1, scratch).out, kQkv);
    kept.mixed = at::empty({kept.qkv.size(0), x.size(1)}, kept.qkv.options());
    kept.mixed.narrow(0, run.rows, kept.mixed.size(0) - run.rows).zero_();
    if (saved != nullptr) kept.logsumexp = at::empty({run.rows, p.num_heads}, kept.qkv.options().dtype(p.type == at::kDouble ? at::kDouble : at::kFloat));
    for (Group group : run.groups) {
      group.first_row -= run.first_row;
      attend(part(kept.qkv, group), group, p.num_heads, part(kept.mixed, group), saved != nullptr ? part(kept.logsumexp, group) : at::Tensor(), scratch);
    }
    kept.y = at::empty_like(x_run);
    add_branch(kept.y, x_run, product(p, kept.mixed, kOut), p.factors.attention, run);
    kept.a = product(p, norm(p, kept.y, kNorm2, scratch).out, kFc1);
    at::Tensor h = scratch.get(kHidden, kept.a.size(0), kept.a.size(1));
    at::gelu_out(h, kept.a);
    add_branch(part(z, run), kept.y, product(p, h, kFc2), p.factors.ffn, run);
    if (saved != nullptr) (*saved)[index] = std::move(kept);
  });
  return z;
}

// ---- backward --------------------------------------------------------------------------------------------------------

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
  void add(Weight weight, const at::Tensor& d, const at::Tensor& input) {
    if (needed_[weight]) sums[weight].add_(transposed_product(d, input));
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

// The gradient of the branch's product, padded.
at::Tensor branch_gradient(const at::Tensor& d, const at::Tensor& factor, const Run& run, Scratch& scratch) {
  return scratch.padded(kBranch, factor.defined() ? d.mul(part(factor, run)) : d);
}

at::Tensor backward_rows(const Problem& p, const at::Tensor& x, const std::vector<Run>& runs, const std::vector<Saved>& saved, const at::Tensor& dz, const Needed& needed,
                         Weights& weight_gradients) {
  at::Tensor dx = at::empty_like(x);
  std::vector<std::optional<WeightGradients>> of_thread(static_cast<size_t>(at::get_num_threads()));
  for_each_run(runs, x.options().dtype(p.type), [&](size_t index, size_t thread, Scratch& scratch) {
    if (!of_thread[thread]) of_thread[thread].emplace(p, needed, x.scalar_type());
    WeightGradients& gradients = *of_thread[thread];
    const Run& run = runs[index];
    const Saved& kept = saved[index];
    const at::Tensor x_run = part(x, run);
    at::Tensor d = part(dx, run);
    const auto through = [&](const at::Tensor& from, Weight weight) { return ops::product(from, p.weights[weight].t()).narrow(0, 0, run.rows); };
    d.copy_(part(dz, run));
    {
      const at::Tensor db = branch_gradient(d, p.factors.ffn, run, scratch);
      at::Tensor h = scratch.get(kHidden, kept.a.size(0), kept.a.size(1));
      at::gelu_out(h, kept.a);
      gradients.add(kFc2, db, h);
      at::gelu_backward_out(h, ops::product(db, p.weights[kFc2].t()), kept.a);  // h is used up: its room holds the gradient of a
      const Normed normed = norm(p, kept.y, kNorm2, scratch);
      gradients.add(kFc1, h, normed.out);
      add_norm_backward(p, through(h, kFc1), kept.y, normed, kNorm2, d, gradients, needed);
    }
    const at::Tensor db = branch_gradient(d, p.factors.attention, run, scratch);
    gradients.add(kOut, db, kept.mixed);
    const at::Tensor dmixed = through(db, kOut);
    const at::Tensor dqkv = scratch.get(kQkvGradient, kept.qkv.size(0), kept.qkv.size(1));
    dqkv.narrow(0, run.rows, dqkv.size(0) - run.rows).zero_();
    for (Group group : run.groups) {
      group.first_row -= run.first_row;
      attend_backward(part(kept.qkv, group), group, p.num_heads, {part(kept.mixed, group), part(kept.logsumexp, group), part(dmixed, group)}, part(dqkv, group), scratch);
    }
    const Normed normed = norm(p, x_run, kNorm1, scratch);
    gradients.add(kQkv, dqkv, normed.out);
    add_norm_backward(p, through(dqkv, kQkv), x_run, normed, kNorm1, d, gradients, needed);
  });
  for (const std::optional<WeightGradients>& gradients : of_thread) {
    if (!gradients) continue;
    for (size_t i = 0; i < kWeights; ++i) {
      if (needed[i]) weight_gradients[i] = weight_gradients[i].defined() ? weight_gradients[i].add_(gradients->sums[i]) : gradients->sums[i];
    }
  }
  for (size_t i = 0; i < kWeights; ++i) {
    if (needed[i] && !weight_gradients[i].defined()) weight_gradients[i] = at::zeros(p.weights[i].sizes(), x.options());
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

constexpr size_t kFirstWeight = 3, kFirstSaved = kFirstWeight + kWeights, kSavedTensors = 5;  // among the tensors kept: x and factors come first

class TransformerBlockFunction : public torch::autograd::Function<TransformerBlockFunction> {
 public:
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, at::TensorList weights, const Problem& problem) {
    FT_CHECK(weights.size() == kWeights);
    const int64_t threads = at::get_num_threads();
    std::vector<Saved> saved;
    at::Tensor z = forward_rows(problem, x, runs_of(problem.segments, x.size(0), threads), &saved);
    variable_list kept = {x, problem.factors.attention, problem.factors.ffn};
    kept.insert(kept.end(), problem.weights.begin(), problem.weights.end());
    for (const Saved& s : saved) kept.insert(kept.end(), {s.y, s.qkv, s.mixed, s.a, s.logsumexp});
    ctx->save_for_backward(kept);
    ctx->saved_data["segments"] = problem.segments;
    ctx->saved_data["threads"] = threads;
    ctx->saved_data["num_heads"] = problem.num_heads;
    ctx->saved_data["eps"] = problem.eps;
    return z;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& gradients) {
    const variable_list kept = ctx->get_saved_variables();
    const at::Tensor& x = kept[0];
    Problem problem{.factors = {kept[1], kept[2]},
                    .segments = ctx->saved_data["segments"].toIntVector(),
                    .num_heads = ctx->saved_data["num_heads"].toInt(),
                    .eps = ctx->saved_data["eps"].toDouble(),
                    .type = kept[kFirstWeight + kQkv].scalar_type()};
    Needed needed;
    for (size_t i = 0; i < kWeights; ++i) {
      problem.weights[i] = kept[kFirstWeight + i];
      needed[i] = ctx->needs_input_grad(1 + i);
    }
    std::vector<Saved> saved;
    for (size_t i = kFirstSaved; i < kept.size(); i += kSavedTensors) saved.push_back({kept[i], kept[i + 1], kept[i + 2], kept[i + 3], kept[i + 4]});
    Weights weight_gradients;
    variable_list out = {backward_rows(problem, x, runs_of(problem.segments, x.size(0), ctx->saved_data["threads"].toInt()), saved, gradients[0], needed, weight_gradients)};
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
  if (!with_gradient) return forward_rows(problem, x.contiguous(), runs_of(segments, x.size(0), at::get_num_threads()), nullptr);
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
