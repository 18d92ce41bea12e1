#pragma once

#include <string>
#include <string_view>

#include "hawser/ctx.h"

namespace hawser::tool {

// The bytes of a file that may hold secrets; they are wiped.
class InputText {
 public:
  explicit InputText(std::size_t capacity) : bytes_(capacity, '\0') {}
  InputText(InputText&& other) noexcept;
  InputText& operator=(InputText&&) = delete;
  ~InputText();

  std::string_view text() const { return std::string_view(bytes_).substr(0, size_); }
  bool is_full() const { return size_ == bytes_.size(); }

  // Reads until the end of the file or of the space. Errors: errno's, deadline_exceeded.
  Status fill_from(const Ctx& ctx, int fd);

 private:
  std::string bytes_;
  std::size_t size_ = 0;
};

// Who may know what is in a file.
enum class Privacy { any, owner_only };

// Reads a file, or a pipe until it is closed; "-" is stdin.
//
// Errors: invalid_argument (not there, no file, longer than `bytes_max`, readable by others),
// permission_denied, deadline_exceeded, io; `option` is named in the message.
Result<InputText> read_input(const Ctx& ctx, const std::string& option, const std::string& path,
                             std::size_t bytes_max, Privacy privacy);

}  // namespace hawser::tool
