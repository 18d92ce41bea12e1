// A login that is made of the lines of an input.
#pragma once

#include <string>

#include "base/number.h"
#include "input.h"
#include "model/login.h"

// In this order: target, address, port, group, iface, transport, NIC, hardware address, initiator,
// CHAP user name and password, and those of the target. Lines that are missing are empty.
class LoginInput {
 public:
  explicit LoginInput(Input& input) {
    login_.target = input.line();
    login_.address = input.line();
    login_.port = hawser::parse_number<std::uint16_t>(input.line()).value_or(0);
    login_.group = hawser::parse_number<std::uint16_t>(input.line());
    login_.iface = input.line();
    login_.binding = {.transport = std::string(input.line()),
                      .netdev = std::string(input.line()),
                      .hwaddress = std::string(input.line()),
                      .initiator_name = std::string(input.line())};
    chap_.username = input.line();
    chap_.password = hawser::Secret(input.line());
    chap_.username_in = input.line();
    chap_.password_in = hawser::Secret(input.line());
    const bool has_chap = !chap_.username.empty() || !chap_.password.empty() ||
                          !chap_.username_in.empty() || !chap_.password_in.empty();
    if (has_chap) login_.chap = &chap_;
  }
  LoginInput(const LoginInput&) = delete;
  LoginInput& operator=(const LoginInput&) = delete;

  const hawser::LoginRequest& login() const { return login_; }

 private:
  hawser::LoginRequest login_{};
  hawser::Chap chap_{};
};
