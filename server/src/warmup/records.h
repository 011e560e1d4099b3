// TFRecord files, as tf.io.TFRecordWriter makes them without compression.
#ifndef EMS_WARMUP_RECORDS_H_
#define EMS_WARMUP_RECORDS_H_

#include <cstdint>
#include <istream>
#include <string>

#include "absl/status/statusor.h"

namespace ems {

class RecordReader {
 public:
  // `in` must outlive the object.
  explicit RecordReader(std::istream& in) : in_(in) {}

  // Reads the next record; returns false at the end of the file. DATA_LOSS with TensorFlow's texts (core/lib/io/
  // record_reader.cc) "truncated record at OFFSET" and "corrupted record at OFFSET", the latter where a checksum does
  // not fit. No more memory is taken than the file has bytes, whatever length a record claims.
  absl::StatusOr<bool> Next(std::string* record);

 private:
  std::istream& in_;
  uint64_t offset_ = 0;  // of the next record
};

}  // namespace ems

#endif  // EMS_WARMUP_RECORDS_H_
