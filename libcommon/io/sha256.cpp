#include "io/sha256.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <vector>

#include "base/errors.h"

namespace fettle {

void Sha256::Free::operator()(evp_md_ctx_st* context) const { EVP_MD_CTX_free(context); }

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  FT_CHECK(context_ != nullptr && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1, "libcrypto offers no SHA-256");
}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::update(std::span<const uint8_t> bytes) { FT_CHECK(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1); }

void Sha256::update(std::string_view text) { update({reinterpret_cast<const uint8_t*>(text.data()), text.size()}); }

std::string Sha256::hex() const {
  Sha256 copy;
  std::array<uint8_t, EVP_MAX_MD_SIZE> digest;
  unsigned int size = 0;
  FT_CHECK(EVP_MD_CTX_copy_ex(copy.context_.get(), context_.get()) == 1 && EVP_DigestFinal_ex(copy.context_.get(), digest.data(), &size) == 1);
  std::string text;
  for (unsigned int i = 0; i < size; ++i) text += fmt::format("{:02x}", digest[i]);
  return text;
}

std::string sha256_hex(std::string_view text) {
  Sha256 hash;
  hash.update(text);
  return hash.hex();
}

std::string sha256_file(const std::filesystem::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) throw_errno(errno, fmt::format("read '{}'", path.string()));
  struct Closer {
    int descriptor;
    ~Closer() { ::close(descriptor); }
  } closer{descriptor};
  struct stat info {};
  FT_REQUIRE(fstat(descriptor, &info) == 0 && S_ISREG(info.st_mode), "'{}' is not a regular file", path.string());

  Sha256 hash;
  std::vector<uint8_t> block(size_t{1} << 20);
  while (true) {
    const ssize_t count = ::read(descriptor, block.data(), block.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw_errno(errno, fmt::format("read '{}'", path.string()));
    if (count == 0) return hash.hex();
    hash.update({block.data(), static_cast<size_t>(count)});
  }
}

}  // namespace fettle
