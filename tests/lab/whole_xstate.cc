// Lets user-mode Linux run on a CPU that has more register state than that kernel knows of. It
// gives the first 2696 bytes of the XSAVE image (up to PKRU) back to the host's kernel, which takes
// the whole image or nothing: with AMX, whose tiles come after that, no guest gets to its first
// instruction.
//
//   LD_PRELOAD=libwhole_xstate.so linux.uml ...
//
// What is added is zero, and the image's own header says that these components are in their initial
// state: nothing in a guest can use them, since that takes an arch_prctl which it does not have.
//
// Source: what Linux 6.1 for arch/um was seen to give; xstateregs_set() in
// arch/x86/kernel/fpu/regset.c, which says EFAULT to any other size.
#include <dlfcn.h>
#include <elf.h>
#include <linux/ptrace.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cstddef>

namespace {

using Ptrace = long (*)(int, pid_t, void*, void*);

constexpr std::size_t kImageBytesMax = 64 * 1024;  // With all that is defined today it is 11008.
using Image = std::array<std::byte, kImageBytesMax>;

Ptrace real_ptrace() {
  static const auto real = reinterpret_cast<Ptrace>(::dlsym(RTLD_NEXT, "ptrace"));
  return real;
}

// How many bytes the host's kernel gives and takes; 0 if it does not say.
std::size_t image_bytes(pid_t pid) {
  static std::size_t bytes = 0;
  if (bytes > 0) return bytes;
  static Image image;
  iovec whole{.iov_base = image.data(), .iov_len = image.size()};
  void* const kind = reinterpret_cast<void*>(NT_X86_XSTATE);
  if (real_ptrace()(PTRACE_GETREGSET, pid, kind, &whole) == 0) bytes = whole.iov_len;
  return bytes;
}

}  // namespace

// As the C library's, whose arguments are passed alike though it is declared with an ellipsis. The
// kernel in the process has one CPU, and traces from one thread only.
extern "C" __attribute__((visibility("default"))) long ptrace(int request, pid_t pid, void* address,
                                                              void* data) noexcept {
  const bool sets_xstate =
      request == PTRACE_SETREGSET && address == reinterpret_cast<void*>(NT_X86_XSTATE);
  if (!sets_xstate) return real_ptrace()(request, pid, address, data);
  const iovec& given = *static_cast<const iovec*>(data);
  const std::size_t bytes = image_bytes(pid);
  if (given.iov_len >= bytes) return real_ptrace()(request, pid, address, data);

  static Image image;  // Zero after what any call has given: they all give the same size.
  const auto* const first = static_cast<const std::byte*>(given.iov_base);
  std::copy(first, first + given.iov_len, image.begin());
  iovec whole{.iov_base = image.data(), .iov_len = bytes};
  return real_ptrace()(request, pid, address, &whole);
}
