#include "hawser/error.h"

#include <cerrno>
#include <system_error>
#include <utility>

namespace hawser {
namespace {

Errc code_from_errno(int err) {
  switch (err) {
    case EINVAL: return Errc::invalid_argument;
    case ENOENT:
    case ENODEV:
    case ENXIO: return Errc::not_found;
    case EEXIST: return Errc::already_exists;
    case EBUSY:
    case EAGAIN: return Errc::busy;
    case EACCES:
    case EPERM: return Errc::permission_denied;
    case ECONNREFUSED:
    case ECONNRESET:
    case EPIPE:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ETIMEDOUT: return Errc::unavailable;
    case ENOTSUP:
    case ENOSYS: return Errc::unsupported;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOSPC: return Errc::exhausted;
    default: return Errc::io;
  }
}

}  // namespace

std::string_view to_string(Errc code) noexcept {
  switch (code) {
    case Errc::invalid_argument: return "invalid_argument";
    case Errc::not_found: return "not_found";
    case Errc::already_exists: return "already_exists";
    case Errc::busy: return "busy";
    case Errc::permission_denied: return "permission_denied";
    case Errc::unauthenticated: return "unauthenticated";
    case Errc::unavailable: return "unavailable";
    case Errc::deadline_exceeded: return "deadline_exceeded";
    case Errc::cancelled: return "cancelled";
    case Errc::protocol: return "protocol";
    case Errc::corrupt: return "corrupt";
    case Errc::unsupported: return "unsupported";
    case Errc::exhausted: return "exhausted";
    case Errc::internal: return "internal";
    case Errc::io: return "io";
    case Errc::identity_mismatch: return "identity_mismatch";
    case Errc::data_at_risk: return "data_at_risk";
  }
  return "internal";
}

std::string_view to_string(Stage stage) noexcept {
  switch (stage) {
    case Stage::none: return "none";
    case Stage::input: return "input";
    case Stage::preflight: return "preflight";
    case Stage::journal: return "journal";
    case Stage::resolve: return "resolve";
    case Stage::discover: return "discover";
    case Stage::login: return "login";
    case Stage::scan: return "scan";
    case Stage::identify: return "identify";
    case Stage::map: return "map";
    case Stage::udev: return "udev";
    case Stage::flush: return "flush";
    case Stage::remove: return "remove";
    case Stage::logout: return "logout";
    case Stage::recover: return "recover";
  }
  return "none";
}

Error::Error(Errc code, std::string message, Where where)
    : code_(code), where_(where), message_(std::move(message)) {}

Error Error::from_errno(int err, std::string_view doing, Where where) {
  // generic_category().message() is thread-safe; strerror() is not.
  Error error(code_from_errno(err), std::generic_category().message(err), where);
  error.sys_errno_ = err;
  return std::move(error).with(doing);
}

bool Error::retryable() const noexcept {
  return code_ == Errc::unavailable || code_ == Errc::busy || code_ == Errc::deadline_exceeded ||
         code_ == Errc::cancelled || code_ == Errc::data_at_risk;
}

bool Error::data_at_risk() const noexcept { return code_ == Errc::data_at_risk; }

Error Error::with(std::string_view doing) && {
  message_.insert(0, std::string(doing) + ": ");
  return std::move(*this);
}

Error Error::with(Outcome outcome) && {
  outcome_ = outcome;
  return std::move(*this);
}

Error Error::with(Stage stage) && {
  if (stage_ == Stage::none) stage_ = stage;
  return std::move(*this);
}

Error Error::with_iscsi_status(int status) && {
  iscsi_status_ = status;
  return std::move(*this);
}

Error Error::with_path(std::string portal, std::string target,
                       std::optional<std::uint16_t> lun) && {
  portal_ = std::move(portal);
  target_ = std::move(target);
  lun_ = lun;
  return std::move(*this);
}

Error Error::with_paths(std::vector<Error> paths) && {
  paths_ = std::move(paths);
  return std::move(*this);
}

}  // namespace hawser
