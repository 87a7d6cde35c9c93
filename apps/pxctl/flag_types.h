// Flags whose text is checked while the command line is read.
#pragma once

#include <string>

#include <CLI/CLI.hpp>

#include "proxist/base/status.h"
#include "proxist/base/time.h"

namespace proxist::pxctl {

inline CLI::Option* AddDuration(CLI::App* app, const std::string& name, Duration* out,
                                const std::string& help) {
  return app
      ->add_option_function<std::string>(
          name,
          [out, name](const std::string& text) {
            const StatusOr<Duration> parsed = ParseDuration(text);
            if (!parsed.ok()) {
              throw CLI::ValidationError(name, std::string(Message(parsed.status())));
            }
            *out = *parsed;
          },
          help)
      ->type_name("DURATION");
}

inline CLI::Option* AddTimestamp(CLI::App* app, const std::string& name, Timestamp* out,
                                 const std::string& help) {
  return app
      ->add_option_function<std::string>(
          name,
          [out, name](const std::string& text) {
            const StatusOr<Timestamp> parsed = ParseTimestamp(text);
            if (!parsed.ok()) {
              throw CLI::ValidationError(name, std::string(Message(parsed.status())));
            }
            *out = *parsed;
          },
          help)
      ->type_name("TIME");
}

}  // namespace proxist::pxctl
