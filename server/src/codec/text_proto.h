// Files in protocol buffers' text format, as operators write them.
#ifndef EMS_CODEC_TEXT_PROTO_H_
#define EMS_CODEC_TEXT_PROTO_H_

#include <google/protobuf/message.h>

#include <string>

#include "absl/status/status.h"

namespace ems {

// Reads a text file into `message`. NOT_FOUND, PERMISSION_DENIED for the file; INVALID_ARGUMENT
// "FILE: line N, column N: reason" for what does not parse, an unknown field among it.
absl::Status ReadTextProto(const std::string& path, google::protobuf::Message* message);

}  // namespace ems

#endif  // EMS_CODEC_TEXT_PROTO_H_
