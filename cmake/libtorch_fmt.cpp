// The compiled part of the fmt whose headers LibTorch ships without it. Header-only, every file that formats a string would
// compile it again, for six seconds each.
#include <fmt/format-inl.h>

namespace fmt {
inline namespace v12 {
namespace detail {
template auto thousands_sep_impl<char>(locale_ref) -> thousands_sep_result<char>;
template auto thousands_sep_impl<wchar_t>(locale_ref) -> thousands_sep_result<wchar_t>;
template auto decimal_point_impl(locale_ref) -> char;
template auto decimal_point_impl(locale_ref) -> wchar_t;
}  // namespace detail
}  // namespace v12
}  // namespace fmt
