// tflite-run: run a TensorFlow Lite model on given input, print its output and how long it took.
//
// One failure, one exit code (enum Exit, and tflite-run.1): a script on a board can tell a missing model from a
// delegate that found no device.

#include <dlfcn.h>
#include <getopt.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <chrono>
#include <climits>
#include <cmath>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <fstream>
#include <iostream>
#include <limits>
#include <map>
#include <memory>
#include <new>
#include <numeric>
#include <optional>
#include <random>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "tensorflow/lite/c/c_api.h"
#include "tensorflow/lite/core/api/error_reporter.h"
#include "tensorflow/lite/interpreter.h"
#include "tensorflow/lite/interpreter_builder.h"
#include "tensorflow/lite/kernels/register.h"
#include "tensorflow/lite/model_builder.h"
#include "tensorflow/lite/util.h"

namespace {

enum Exit {
  kOk = 0,
  kUsage = 2,            // unknown option, bad value
  kNoModel = 3,          // the model file cannot be read
  kNotAModel = 4,        // the file is not a TensorFlow Lite model
  kBadInput = 5,         // input missing, unreadable, or of the wrong size, shape or format
  kNoDelegate = 6,       // the delegate's library cannot be loaded, or is not a delegate
  kDelegateRefused = 7,  // the delegate could not be made, or does not accept the model
  kRunFailed = 8,        // the model cannot be prepared or run
  kNotWritten = 9,       // the results could not be written
};

// A failure to tell the user: what failed, the evidence, what to do.
struct Failure {
  Exit code;
  std::string what;
  std::string detail = {};
  std::string fix = {};
};

constexpr char kHelp[] =
    R"(Usage: tflite-run [OPTION]... MODEL
Run the TensorFlow Lite model in the file MODEL; print its output and how long it took.

  -i, --input [NAME=]SOURCE      input: a file, - (standard input), zeros or random;
                                 repeat for models with several inputs (default: zeros)
  -f, --format FORMAT            of input files: auto, raw, npy, csv or pgm (default: auto)
      --mean M, --std S          PGM into float inputs: (pixel - M) / S, pixels 0 to 255
                                 (default: 0 and 255)
  -t, --threads N                CPU threads (default: 1)
  -w, --warmup N                 runs before measuring (default: 0)
  -n, --repeat N                 measured runs (default: 1)
  -d, --delegate LIB.so          external delegate, such as libedgetpu.so.1
  -o, --delegate-option KEY=VALUE
                                 option for the delegate; may be repeated
  -k, --top K                    print only the K greatest values of each output
  -j, --json                     print JSON
  -l, --list                     describe the model's inputs and outputs; do not run it
  -V, --version                  print the version of TensorFlow Lite
  -h, --help                     print this help

Exit status: 0 success, 2 usage, 3 no model, 4 not a model, 5 bad input, 6 no such delegate,
7 delegate refused, 8 run failed, 9 output not written.
)";

struct Options {
  std::string model;
  std::vector<std::string> inputs;
  std::string format = "auto";
  double mean = 0.0;
  double std = 255.0;
  int threads = 1;
  int warmup = 0;
  int repeat = 1;
  int top = 0;
  std::string delegate;
  std::vector<std::pair<std::string, std::string>> delegate_options;
  bool json = false;
  bool list = false;
};

// ---- command line -------------------------------------------------------------------------------------------

int WholeNumber(const std::string& option, const char* text, int least) {
  char* end = nullptr;
  errno = 0;
  const long value = std::strtol(text, &end, 10);
  if (end == text || *end != '\0' || errno != 0 || value < least || value > INT_MAX) {
    throw Failure{kUsage, option + ": '" + text + "' is not a whole number of at least " + std::to_string(least)};
  }
  return static_cast<int>(value);
}

double RealNumber(const std::string& option, const char* text) {
  char* end = nullptr;
  const double value = std::strtod(text, &end);
  if (end == text || *end != '\0' || !std::isfinite(value)) {
    throw Failure{kUsage, option + ": '" + text + "' is not a number"};
  }
  return value;
}

std::pair<std::string, std::string> KeyAndValue(const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    throw Failure{kUsage, "--delegate-option: '" + text + "' is not KEY=VALUE"};
  }
  return {text.substr(0, equals), text.substr(equals + 1)};
}

void CheckOptions(const Options& options) {
  const std::vector<std::string> formats = {"auto", "raw", "npy", "csv", "pgm"};
  if (std::find(formats.begin(), formats.end(), options.format) == formats.end()) {
    throw Failure{kUsage, "--format: '" + options.format + "' is none of auto, raw, npy, csv, pgm"};
  }
  if (options.std == 0.0) throw Failure{kUsage, "--std: zero cannot be divided by"};
  if (!options.delegate_options.empty() && options.delegate.empty()) {
    throw Failure{kUsage, "--delegate-option without --delegate"};
  }
  if (std::count(options.inputs.begin(), options.inputs.end(), "-") > 1) {
    throw Failure{kUsage, "--input -: standard input can be read only once"};
  }
}

// Returns nothing where --help or --version has been answered.
std::optional<Options> ReadOptions(int argc, char** argv) {
  enum { kMean = 256, kStd };
  static const option known[] = {
      {"input", required_argument, nullptr, 'i'},    {"format", required_argument, nullptr, 'f'},
      {"mean", required_argument, nullptr, kMean},   {"std", required_argument, nullptr, kStd},
      {"threads", required_argument, nullptr, 't'},  {"warmup", required_argument, nullptr, 'w'},
      {"repeat", required_argument, nullptr, 'n'},   {"top", required_argument, nullptr, 'k'},
      {"delegate", required_argument, nullptr, 'd'}, {"delegate-option", required_argument, nullptr, 'o'},
      {"json", no_argument, nullptr, 'j'},           {"list", no_argument, nullptr, 'l'},
      {"version", no_argument, nullptr, 'V'},        {"help", no_argument, nullptr, 'h'},
      {nullptr, 0, nullptr, 0},
  };
  Options options;
  for (int c; (c = getopt_long(argc, argv, "i:f:t:w:n:k:d:o:jlVh", known, nullptr)) != -1;) {
    switch (c) {
      case 'i': options.inputs.emplace_back(optarg); break;
      case 'f': options.format = optarg; break;
      case kMean: options.mean = RealNumber("--mean", optarg); break;
      case kStd: options.std = RealNumber("--std", optarg); break;
      case 't': options.threads = WholeNumber("--threads", optarg, 1); break;
      case 'w': options.warmup = WholeNumber("--warmup", optarg, 0); break;
      case 'n': options.repeat = WholeNumber("--repeat", optarg, 1); break;
      case 'k': options.top = WholeNumber("--top", optarg, 1); break;
      case 'd': options.delegate = optarg; break;
      case 'o': options.delegate_options.push_back(KeyAndValue(optarg)); break;
      case 'j': options.json = true; break;
      case 'l': options.list = true; break;
      case 'V': std::cout << "tflite-run, TensorFlow Lite " << TfLiteVersion() << "\n"; return std::nullopt;
      case 'h': std::cout << kHelp; return std::nullopt;
      default: throw Failure{kUsage, "", "", "tflite-run --help lists the options"};  // getopt has said what is wrong
    }
  }
  if (argc - optind != 1) {
    throw Failure{kUsage, argc == optind ? "no model given" : "more than one model given", "",
                  "tflite-run --help lists the options"};
  }
  options.model = argv[optind];
  CheckOptions(options);
  return options;
}

// ---- tensors ------------------------------------------------------------------------------------------------

bool IsFloat(TfLiteType type) {
  return type == kTfLiteFloat32 || type == kTfLiteFloat16 || type == kTfLiteFloat64;
}

// The size in bytes of one number; 0 for types that hold no plain numbers (strings, resources, complex numbers).
size_t NumberSize(TfLiteType type) {
  switch (type) {
    case kTfLiteInt8: case kTfLiteUInt8: case kTfLiteBool: return 1;
    case kTfLiteInt16: case kTfLiteUInt16: case kTfLiteFloat16: return 2;
    case kTfLiteInt32: case kTfLiteUInt32: case kTfLiteFloat32: return 4;
    case kTfLiteInt64: case kTfLiteUInt64: case kTfLiteFloat64: return 8;
    default: return 0;
  }
}

std::string TypeName(TfLiteType type) {
  std::string name = TfLiteTypeGetName(type);
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
  return name;
}

std::vector<int> Shape(const TfLiteTensor& tensor) {
  if (tensor.dims == nullptr) return {};
  return {tensor.dims->data, tensor.dims->data + tensor.dims->size};
}

std::string ShapeText(const std::vector<int>& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i ? "," : "") + std::to_string(shape[i]);
  return text + "]";
}

std::string NameOf(const TfLiteTensor& tensor) { return tensor.name ? tensor.name : ""; }

std::string Described(const TfLiteTensor& tensor) {
  return "'" + NameOf(tensor) + "' (" + TypeName(tensor.type) + " " + ShapeText(Shape(tensor)) + ")";
}

bool IsQuantised(const TfLiteTensor& tensor) { return !IsFloat(tensor.type) && tensor.params.scale != 0.0f; }

double HalfToDouble(uint16_t half) {
  const int exponent = (half >> 10) & 31;
  const int fraction = half & 1023;
  const double sign = half & 0x8000 ? -1.0 : 1.0;
  if (exponent == 31) return fraction ? NAN : sign * INFINITY;
  if (exponent == 0) return sign * std::ldexp(fraction, -24);
  return sign * std::ldexp(1024 + fraction, exponent - 25);
}

uint16_t DoubleToHalf(double value) {
  const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  const double size = std::fabs(value);
  if (std::isnan(value)) return 0x7e00;
  if (size >= 65520.0) return sign | 0x7c00;
  if (size < std::ldexp(1.0, -14)) return sign | static_cast<uint16_t>(std::nearbyint(std::ldexp(size, 24)));
  int exponent;
  const double fraction = std::frexp(size, &exponent);  // in [0.5, 1)
  const int bits = static_cast<int>(std::nearbyint(std::ldexp(fraction, 11)));  // 1024 to 2048; 2048 carries over
  return sign | static_cast<uint16_t>(((exponent + 14) << 10) + (bits - 1024));
}

template <typename T>
double Load(const char* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return static_cast<double>(value);
}

// Reads one stored number. 64-bit integers beyond 2^53 lose their last digits.
double Stored(TfLiteType type, const char* from) {
  switch (type) {
    case kTfLiteInt8: return Load<int8_t>(from);
    case kTfLiteBool: case kTfLiteUInt8: return Load<uint8_t>(from);
    case kTfLiteInt16: return Load<int16_t>(from);
    case kTfLiteUInt16: return Load<uint16_t>(from);
    case kTfLiteInt32: return Load<int32_t>(from);
    case kTfLiteUInt32: return Load<uint32_t>(from);
    case kTfLiteInt64: return Load<int64_t>(from);
    case kTfLiteUInt64: return Load<uint64_t>(from);
    case kTfLiteFloat16: { uint16_t half; std::memcpy(&half, from, 2); return HalfToDouble(half); }
    case kTfLiteFloat32: return Load<float>(from);
    default: return Load<double>(from);
  }
}

template <typename T>
void SaveWhole(double value, char* to, bool saturate) {
  const double low = static_cast<double>(std::numeric_limits<T>::lowest());
  const double high = static_cast<double>(std::numeric_limits<T>::max());
  const double rounded = std::nearbyint(value);
  if (std::isnan(value) || (!saturate && (rounded < low || rounded > high || rounded != value))) {
    std::ostringstream text;
    text << "the value " << value << " does not fit the input's type";
    throw Failure{kBadInput, text.str()};
  }
  // 2^63 and 2^64 are doubles, the greatest 64-bit integers are not: compare before converting.
  const T whole = rounded <= low ? std::numeric_limits<T>::lowest()
                  : rounded >= high ? std::numeric_limits<T>::max() : static_cast<T>(rounded);
  std::memcpy(to, &whole, sizeof whole);
}

template <typename T>
void SaveReal(double value, char* to) {
  const T real = static_cast<T>(value);
  std::memcpy(to, &real, sizeof real);
}

void Store(TfLiteType type, double value, char* to, bool saturate) {
  switch (type) {
    case kTfLiteInt8: return SaveWhole<int8_t>(value, to, saturate);
    case kTfLiteUInt8: return SaveWhole<uint8_t>(value, to, saturate);
    case kTfLiteBool: *to = value != 0.0; return;
    case kTfLiteInt16: return SaveWhole<int16_t>(value, to, saturate);
    case kTfLiteUInt16: return SaveWhole<uint16_t>(value, to, saturate);
    case kTfLiteInt32: return SaveWhole<int32_t>(value, to, saturate);
    case kTfLiteUInt32: return SaveWhole<uint32_t>(value, to, saturate);
    case kTfLiteInt64: return SaveWhole<int64_t>(value, to, saturate);
    case kTfLiteUInt64: return SaveWhole<uint64_t>(value, to, saturate);
    case kTfLiteFloat16: { const uint16_t half = DoubleToHalf(value); std::memcpy(to, &half, 2); return; }
    case kTfLiteFloat32: return SaveReal<float>(value, to);
    default: return SaveReal<double>(value, to);
  }
}

// Writes real numbers into a tensor: quantised by its scale and zero point, where it has them.
void FillReal(TfLiteTensor& tensor, const std::vector<double>& values) {
  const size_t size = NumberSize(tensor.type);
  if (values.size() * size != tensor.bytes) {
    throw Failure{kBadInput, "input " + Described(tensor) + " wants " + std::to_string(tensor.bytes / size) +
                                 " values, " + std::to_string(values.size()) + " were given"};
  }
  const bool quantised = IsQuantised(tensor);
  for (size_t i = 0; i < values.size(); ++i) {
    const double value = quantised ? values[i] / tensor.params.scale + tensor.params.zero_point : values[i];
    Store(tensor.type, value, tensor.data.raw + i * size, quantised);
  }
}

void FillRandom(TfLiteTensor& tensor) {
  std::mt19937 generator(1);  // the same input on every board
  if (IsFloat(tensor.type)) {
    std::vector<double> values(tensor.bytes / NumberSize(tensor.type));
    for (double& value : values) value = generator() / 4294967296.0;
    FillReal(tensor, values);
  } else {
    for (size_t i = 0; i < tensor.bytes; ++i) {
      tensor.data.raw[i] = static_cast<char>(tensor.type == kTfLiteBool ? generator() & 1 : generator() & 255);
    }
  }
}

// ---- input files --------------------------------------------------------------------------------------------

std::string ReadAll(const std::string& path) {
  std::FILE* file = path == "-" ? stdin : std::fopen(path.c_str(), "rb");
  std::string data;
  char block[65536];
  for (size_t got = 1; file != nullptr && got > 0;) {
    got = std::fread(block, 1, sizeof block, file);
    data.append(block, got);
  }
  const int error = file == nullptr || std::ferror(file) ? errno : 0;
  if (file != nullptr && file != stdin) std::fclose(file);
  if (error != 0) throw Failure{kBadInput, "cannot read input " + path, std::strerror(error)};
  return data;
}

bool EndsWith(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

std::string GuessFormat(const std::string& path, const std::string& data) {
  if (data.compare(0, 6, "\x93NUMPY") == 0) return "npy";
  if (EndsWith(path, ".csv")) return "csv";
  const bool image = EndsWith(path, ".pgm") || EndsWith(path, ".ppm") || EndsWith(path, ".pnm") || path == "-";
  if (image && data.size() > 2 && data[0] == 'P' && std::strchr("2356", data[1]) && std::isspace(data[2])) return "pgm";
  return "raw";
}

void FillRaw(TfLiteTensor& tensor, const std::string& data) {
  if (data.size() != tensor.bytes) {
    throw Failure{kBadInput, "input " + Described(tensor) + " wants " + std::to_string(tensor.bytes) + " bytes, " +
                                 std::to_string(data.size()) + " were given"};
  }
  std::memcpy(tensor.data.raw, data.data(), data.size());
}

void FillCsv(TfLiteTensor& tensor, std::string data) {
  for (char& c : data) if (c == ',' || c == ';') c = ' ';
  std::istringstream words(data);
  std::vector<double> values;
  for (std::string word; words >> word;) {
    char* end = nullptr;
    values.push_back(std::strtod(word.c_str(), &end));
    if (*end != '\0') {
      throw Failure{kBadInput, "input " + Described(tensor) + ": value " + std::to_string(values.size()) +
                                   " is not a number"};
    }
  }
  FillReal(tensor, values);
}

// The header of a .npy file, version 1 to 3, as numpy.lib.format documents it.
struct NpyHeader {
  TfLiteType type;
  std::vector<int> shape;
  size_t size;
};

std::string Between(const std::string& text, const std::string& before, char after) {
  const size_t start = text.find(before);
  if (start == std::string::npos) throw Failure{kBadInput, "not a valid .npy file: no " + before};
  const size_t end = text.find(after, start + before.size());
  return text.substr(start + before.size(), end - start - before.size());
}

NpyHeader ReadNpyHeader(const std::string& data) {
  if (data.compare(0, 6, "\x93NUMPY") != 0 || data.size() < 12) throw Failure{kBadInput, "not a .npy file"};
  const auto byte = [&](size_t i) { return static_cast<size_t>(static_cast<unsigned char>(data[i])); };
  const bool long_header = data[6] >= 2;
  const size_t start = long_header ? 12 : 10;
  const size_t length = byte(8) | byte(9) << 8 | (long_header ? byte(10) << 16 | byte(11) << 24 : 0);
  if (length > data.size() - start) throw Failure{kBadInput, "the .npy file is cut short"};
  const std::string header = data.substr(start, length);
  static const std::map<std::string, TfLiteType> types = {
      {"|b1", kTfLiteBool},    {"|i1", kTfLiteInt8},    {"|u1", kTfLiteUInt8},   {"<i2", kTfLiteInt16},
      {"<u2", kTfLiteUInt16},  {"<i4", kTfLiteInt32},   {"<u4", kTfLiteUInt32},  {"<i8", kTfLiteInt64},
      {"<u8", kTfLiteUInt64},  {"<f2", kTfLiteFloat16}, {"<f4", kTfLiteFloat32}, {"<f8", kTfLiteFloat64},
  };
  const std::string name = Between(header, "'descr': '", '\'');
  const auto type = types.find(name);
  if (type == types.end()) throw Failure{kBadInput, ".npy files of type '" + name + "' cannot be read"};
  if (Between(header, "'fortran_order': ", ',') != "False") {
    throw Failure{kBadInput, "the .npy file is in Fortran order", "", "save numpy.ascontiguousarray(...)"};
  }
  NpyHeader result{type->second, {}, start + length};
  std::istringstream numbers(Between(header, "'shape': (", ')'));
  for (std::string number; std::getline(numbers, number, ',');) {
    if (number.find_first_of("0123456789") != std::string::npos) result.shape.push_back(std::atoi(number.c_str()));
  }
  return result;
}

// Same type: copied as it is. Real numbers: quantised where the tensor is. Whole numbers: must fit the type.
void FillNpy(TfLiteTensor& tensor, const std::string& data) {
  const NpyHeader header = ReadNpyHeader(data);
  const auto without_ones = [](std::vector<int> shape) {
    shape.erase(std::remove(shape.begin(), shape.end(), 1), shape.end());
    return shape;
  };
  if (without_ones(header.shape) != without_ones(Shape(tensor))) {
    throw Failure{kBadInput, "input " + Described(tensor) + ": the array has shape " + ShapeText(header.shape)};
  }
  const std::string body = data.substr(header.size);
  const size_t size = NumberSize(header.type);
  const size_t count = tensor.bytes / NumberSize(tensor.type);
  if (body.size() != count * size) throw Failure{kBadInput, "the .npy file is cut short, or too long"};
  if (header.type == tensor.type) return FillRaw(tensor, body);
  std::vector<double> values(count);
  for (size_t i = 0; i < count; ++i) values[i] = Stored(header.type, body.data() + i * size);
  if (IsFloat(header.type) || IsFloat(tensor.type)) return FillReal(tensor, values);
  for (size_t i = 0; i < count; ++i) {
    Store(tensor.type, values[i], tensor.data.raw + i * NumberSize(tensor.type), false);
  }
}

// A PGM or PPM image, plain or binary, with pixels brought to 0 to 255.
struct Image {
  int width = 0, height = 0, channels = 0;
  std::vector<double> pixels;
};

Image ReadImage(const std::string& data) {
  std::istringstream stream(data);
  const auto number = [&stream] {
    while (stream >> std::ws && stream.peek() == '#') stream.ignore(INT_MAX, '\n');
    int value = -1;
    stream >> value;
    return stream ? value : -1;
  };
  std::string magic;
  stream >> magic;
  if (magic != "P2" && magic != "P3" && magic != "P5" && magic != "P6") {
    throw Failure{kBadInput, "not a PGM or PPM image"};
  }
  Image image;
  image.channels = magic == "P2" || magic == "P5" ? 1 : 3;
  image.width = number();
  image.height = number();
  const int greatest = number();
  constexpr int kSide = 32768;
  if (image.width < 1 || image.height < 1 || image.width > kSide || image.height > kSide || greatest < 1 ||
      greatest > 65535) {
    throw Failure{kBadInput, "the image has no valid header"};
  }
  const bool plain = magic < "P5";
  if (!plain) stream.get();  // the single white space after the header
  const size_t count = static_cast<size_t>(image.width) * image.height * image.channels;
  if (count > data.size()) throw Failure{kBadInput, "the image is cut short"};  // every pixel takes a byte or more
  for (size_t i = 0; i < count; ++i) {
    int pixel = plain ? number() : stream.get();
    if (!plain && greatest > 255 && pixel >= 0) pixel = pixel << 8 | stream.get();
    if (!stream || pixel < 0) throw Failure{kBadInput, "the image is cut short"};
    if (pixel > greatest) throw Failure{kBadInput, "the image has a pixel brighter than its header allows"};
    image.pixels.push_back(pixel * 255.0 / greatest);
  }
  return image;
}

// Bytes get the pixel (int8: less 128), as image models for the Edge TPU want it; other types (pixel - mean) / std.
void FillImage(TfLiteTensor& tensor, const std::string& data, const Options& options) {
  Image image = ReadImage(data);
  std::vector<int> wanted = Shape(tensor);
  if (!wanted.empty() && wanted.front() == 1 && wanted.size() > 2) wanted.erase(wanted.begin());
  std::vector<int> given = {image.height, image.width};
  if (image.channels != 1 || wanted.size() > 2) given.push_back(image.channels);
  if (wanted != given) {
    throw Failure{kBadInput, "input " + Described(tensor) + ": the image has shape " + ShapeText(given), "",
                  "scale the image first; tflite-run does not"};
  }
  if (tensor.type == kTfLiteUInt8 || tensor.type == kTfLiteInt8) {
    const double shift = tensor.type == kTfLiteInt8 ? 128.0 : 0.0;
    for (size_t i = 0; i < image.pixels.size(); ++i) {
      Store(tensor.type, image.pixels[i] - shift, tensor.data.raw + i, true);
    }
    return;
  }
  for (double& pixel : image.pixels) pixel = (pixel - options.mean) / options.std;
  FillReal(tensor, image.pixels);
}

void FillInput(TfLiteTensor& tensor, const std::string& source, const Options& options) {
  if (NumberSize(tensor.type) == 0) {
    throw Failure{kBadInput, "input " + Described(tensor) + ": only tensors of plain numbers can be filled"};
  }
  if (source == "random") return FillRandom(tensor);
  if (source == "zeros") return FillReal(tensor, std::vector<double>(tensor.bytes / NumberSize(tensor.type)));
  const std::string data = ReadAll(source);
  const std::string format = options.format == "auto" ? GuessFormat(source, data) : options.format;
  if (format == "npy") return FillNpy(tensor, data);
  if (format == "csv") return FillCsv(tensor, data);
  if (format == "pgm") return FillImage(tensor, data, options);
  FillRaw(tensor, data);
}

// ---- delegate -----------------------------------------------------------------------------------------------

std::string delegate_message;
void KeepMessage(const char* message) { delegate_message = message; }

// An external delegate, by the two functions that every such library has (external_delegate_interface.h). They are
// called directly, not through TfLiteExternalDelegateCreate, because only so can the delegate say what is wrong.
class Delegate {
 public:
  explicit Delegate(const Options& options) : name_(options.delegate) {
    handle_ = dlopen(name_.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle_ == nullptr) throw Failure{kNoDelegate, "cannot load the delegate " + name_, dlerror()};
    const auto create = reinterpret_cast<Create>(dlsym(handle_, "tflite_plugin_create_delegate"));
    destroy_ = reinterpret_cast<Destroy>(dlsym(handle_, "tflite_plugin_destroy_delegate"));
    if (create == nullptr || destroy_ == nullptr) {
      throw Failure{kNoDelegate, name_ + " is not a TensorFlow Lite delegate",
                    "it lacks tflite_plugin_create_delegate or tflite_plugin_destroy_delegate"};
    }
    std::vector<const char*> keys, values;
    for (const auto& [key, value] : options.delegate_options) {
      keys.push_back(key.c_str());
      values.push_back(value.c_str());
    }
    delegate_ = create(keys.data(), values.data(), keys.size(), KeepMessage);
    if (delegate_ == nullptr) {
      throw Failure{kDelegateRefused, "the delegate " + name_ + " did not start",
                    delegate_message.empty() ? "it gives no reason" : delegate_message,
                    "is its device plugged in, and may this user open it?"};
    }
  }
  Delegate(const Delegate&) = delete;
  Delegate& operator=(const Delegate&) = delete;
  // The library stays loaded: drivers with threads of their own do not survive dlclose.
  ~Delegate() { destroy_(delegate_); }

  TfLiteDelegate* get() const { return delegate_; }

 private:
  using Create = TfLiteDelegate* (*)(const char* const*, const char* const*, size_t, void (*)(const char*));
  using Destroy = void (*)(TfLiteDelegate*);
  std::string name_;
  void* handle_ = nullptr;
  Destroy destroy_ = nullptr;
  TfLiteDelegate* delegate_ = nullptr;
};

// ---- the model ----------------------------------------------------------------------------------------------

// Keeps what TensorFlow Lite says, to be told with the failure it explains.
class Messages : public tflite::ErrorReporter {
 public:
  int Report(const char* format, va_list arguments) override {
    char line[1024];
    const int length = std::vsnprintf(line, sizeof line, format, arguments);
    if (!text_.empty()) text_ += "\n";
    text_ += line;
    return length;
  }
  std::string Take() { return std::exchange(text_, ""); }

 private:
  std::string text_;
};

// The order of the members is the order of destruction, reversed: the delegate must outlive the interpreter.
struct Loaded {
  Messages messages;
  std::unique_ptr<tflite::FlatBufferModel> model;
  tflite::ops::builtin::BuiltinOpResolver resolver;
  std::unique_ptr<Delegate> delegate;
  std::unique_ptr<tflite::Interpreter> interpreter;
  size_t nodes = 0;
  size_t delegated = 0;
};

std::string FixFor(const std::string& messages) {
  if (messages.find("edgetpu-custom-op") == std::string::npos) return {};
  return "this model is compiled for the Edge TPU: --delegate libedgetpu.so.1";
}

void Load(const Options& options, Loaded& loaded) {
  std::ifstream file(options.model, std::ios::binary);
  if (!file || file.peek() == std::ifstream::traits_type::eof()) {
    const bool there = access(options.model.c_str(), F_OK) == 0;
    const bool readable = access(options.model.c_str(), R_OK) == 0;
    throw Failure{kNoModel, "cannot read the model " + options.model,
                  !there || !readable ? std::strerror(errno) : "it is empty or not a file"};
  }
  loaded.model = tflite::FlatBufferModel::VerifyAndBuildFromFile(options.model.c_str(), nullptr, &loaded.messages);
  if (loaded.model == nullptr) {
    throw Failure{kNotAModel, options.model + " is not a TensorFlow Lite model", loaded.messages.Take()};
  }
  tflite::InterpreterBuilder builder(*loaded.model, loaded.resolver);
  builder.SetNumThreads(options.threads);
  if (builder(&loaded.interpreter) != kTfLiteOk || loaded.interpreter == nullptr) {
    throw Failure{kRunFailed, "the model " + options.model + " cannot be used", loaded.messages.Take()};
  }
}

void ApplyDelegate(const Options& options, Loaded& loaded) {
  tflite::Interpreter& interpreter = *loaded.interpreter;
  loaded.nodes = interpreter.execution_plan().size();
  if (options.delegate.empty()) return;
  loaded.delegate = std::make_unique<Delegate>(options);
  if (interpreter.ModifyGraphWithDelegate(loaded.delegate->get()) != kTfLiteOk) {
    throw Failure{kDelegateRefused, "the delegate " + options.delegate + " does not accept the model",
                  loaded.messages.Take()};
  }
  size_t kept = 0;
  for (const int index : interpreter.execution_plan()) {
    if (interpreter.node_and_registration(index)->first.delegate == nullptr) ++kept;
  }
  loaded.delegated = loaded.nodes - std::min(kept, loaded.nodes);
  if (loaded.delegated == 0) {
    std::cerr << "tflite-run: warning: the delegate takes no part of this model; it runs on the CPU alone\n";
  }
}

void FillInputs(const Options& options, tflite::Interpreter& interpreter) {
  std::vector<std::string> sources(interpreter.inputs().size());
  size_t next = 0;
  for (const std::string& given : options.inputs) {
    const size_t equals = given.find('=');
    size_t place = sources.size();
    for (size_t i = 0; equals != std::string::npos && i < sources.size(); ++i) {
      if (NameOf(*interpreter.input_tensor(i)) == given.substr(0, equals)) place = i;
    }
    const bool named = place != sources.size();
    if (!named) {
      while (next < sources.size() && !sources[next].empty()) ++next;
      place = next;
    }
    if (place == sources.size()) {
      throw Failure{kBadInput, "--input " + given + ": more sources than the model has inputs (" +
                                   std::to_string(sources.size()) + ")", "", "tflite-run --list shows the inputs"};
    }
    sources[place] = named ? given.substr(equals + 1) : given;
  }
  for (size_t i = 0; i < sources.size(); ++i) {
    FillInput(*interpreter.input_tensor(i), sources[i].empty() ? "zeros" : sources[i], options);
  }
}

// Returns each measured run's time in milliseconds.
std::vector<double> Run(const Options& options, Loaded& loaded) {
  std::vector<double> times;
  for (int i = -options.warmup; i < options.repeat; ++i) {
    const auto start = std::chrono::steady_clock::now();
    if (loaded.interpreter->Invoke() != kTfLiteOk) {
      throw Failure{kRunFailed, "the model failed while running", loaded.messages.Take()};
    }
    const std::chrono::duration<double, std::milli> time = std::chrono::steady_clock::now() - start;
    if (i >= 0) times.push_back(time.count());
  }
  return times;
}

// ---- printing -----------------------------------------------------------------------------------------------

struct Output {
  const TfLiteTensor* tensor;
  std::vector<double> stored;
  std::vector<double> values;  // dequantised

  explicit Output(const TfLiteTensor* from) : tensor(from) {
    const size_t size = NumberSize(from->type);
    for (size_t i = 0; size != 0 && i < from->bytes / size; ++i) {
      stored.push_back(Stored(from->type, from->data.raw_const + i * size));
      const bool quantised = IsQuantised(*from);
      values.push_back(quantised ? (stored.back() - from->params.zero_point) * from->params.scale : stored.back());
    }
  }

  // The indices of the k greatest values, the greatest first, the lower index first among equals.
  std::vector<size_t> Top(size_t k) const {
    std::vector<size_t> order(values.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(), [this](size_t a, size_t b) { return values[a] > values[b]; });
    order.resize(std::min(k, order.size()));
    return order;
  }
};

std::string Number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.9g", value);
  return text;
}

std::string JsonNumber(double value) { return std::isfinite(value) ? Number(value) : "null"; }

std::string JsonText(const std::string& text) {
  std::string quoted = "\"";
  for (const unsigned char c : text) {
    char escape[8];
    std::snprintf(escape, sizeof escape, "\\u%04x", c);
    quoted += c == '"' || c == '\\' ? std::string("\\") + static_cast<char>(c)
              : c < 0x20 ? std::string(escape) : std::string(1, static_cast<char>(c));
  }
  return quoted + "\"";
}

template <typename Items, typename Print>
std::string JsonList(const Items& items, Print print) {
  std::string text = "[";
  for (const auto& item : items) text += (text.size() > 1 ? ", " : "") + print(item);
  return text + "]";
}

std::string JsonTensor(const TfLiteTensor& tensor) {
  std::string text = "\"name\": " + JsonText(NameOf(tensor)) + ", \"type\": " + JsonText(TypeName(tensor.type)) +
                     ", \"shape\": " + JsonList(Shape(tensor), [](int size) { return std::to_string(size); });
  if (IsQuantised(tensor)) {
    text += ", \"scale\": " + JsonNumber(tensor.params.scale) +
            ", \"zero_point\": " + std::to_string(tensor.params.zero_point);
  }
  return text;
}

std::string TensorLine(const TfLiteTensor& tensor) {
  std::string text = NameOf(tensor) + "  " + TypeName(tensor.type) + " " + ShapeText(Shape(tensor));
  if (!IsQuantised(tensor)) return text;
  return text + "  scale " + Number(tensor.params.scale) + ", zero point " + std::to_string(tensor.params.zero_point);
}

std::vector<const TfLiteTensor*> Tensors(const tflite::Interpreter& interpreter, const std::vector<int>& indices) {
  std::vector<const TfLiteTensor*> tensors;
  for (const int index : indices) tensors.push_back(interpreter.tensor(index));
  return tensors;
}

std::map<std::string, int> Operators(const tflite::Interpreter& interpreter) {
  std::map<std::string, int> counts;
  for (const int index : interpreter.execution_plan()) {
    ++counts[tflite::GetOpNameByRegistration(interpreter.node_and_registration(index)->second)];
  }
  return counts;
}

void PrintList(const Options& options, const tflite::Interpreter& interpreter) {
  const auto inputs = Tensors(interpreter, interpreter.inputs());
  const auto outputs = Tensors(interpreter, interpreter.outputs());
  const auto operators = Operators(interpreter);
  if (options.json) {
    const auto tensor = [](const TfLiteTensor* t) { return "{" + JsonTensor(*t) + "}"; };
    const auto count = [](const auto& entry) {
      return "{\"name\": " + JsonText(entry.first) + ", \"count\": " + std::to_string(entry.second) + "}";
    };
    std::cout << "{\"model\": " << JsonText(options.model) << ", \"inputs\": " << JsonList(inputs, tensor)
              << ", \"outputs\": " << JsonList(outputs, tensor) << ", \"operators\": " << JsonList(operators, count)
              << "}\n";
    return;
  }
  for (const TfLiteTensor* tensor : inputs) std::cout << "input  " << TensorLine(*tensor) << "\n";
  for (const TfLiteTensor* tensor : outputs) std::cout << "output  " << TensorLine(*tensor) << "\n";
  for (const auto& [name, count] : operators) std::cout << "operator  " << name << "  " << count << "\n";
}

struct Latency {
  size_t count;
  double least, median, p90, greatest;

  explicit Latency(std::vector<double> times) : count(times.size()) {
    std::sort(times.begin(), times.end());
    const size_t middle = count / 2;
    least = times.front();
    median = count % 2 ? times[middle] : (times[middle - 1] + times[middle]) / 2.0;
    p90 = times[(count * 9 + 9) / 10 - 1];  // nearest rank
    greatest = times.back();
  }
};

void PrintText(const Options& options, const Loaded& loaded, const std::vector<Output>& outputs, const Latency& time) {
  constexpr size_t kShown = 32;
  for (const Output& output : outputs) {
    std::cout << "output  " << TensorLine(*output.tensor) << "\n";
    std::vector<size_t> order(std::min(output.values.size(), kShown));
    std::iota(order.begin(), order.end(), size_t{0});
    for (const size_t i : options.top ? output.Top(options.top) : order) {
      std::cout << "  " << i << "  " << Number(output.values[i]);
      if (IsQuantised(*output.tensor)) std::cout << "  (stored " << Number(output.stored[i]) << ")";
      std::cout << "\n";
    }
    if (!options.top && output.values.size() > kShown) {
      std::cout << "  and " << output.values.size() - kShown << " more; --json prints all\n";
    }
    if (NumberSize(output.tensor->type) == 0) std::cout << "  values of this type are not printed\n";
  }
  if (loaded.delegate) {
    std::cout << "delegate  " << options.delegate << "  " << loaded.delegated << " of " << loaded.nodes
              << " operators\n";
  }
  char line[160];
  std::snprintf(line, sizeof line, "latency  min %.3f ms, median %.3f ms, p90 %.3f ms, max %.3f ms  (%zu runs)\n",
                time.least, time.median, time.p90, time.greatest, time.count);
  std::cout << line;
}

void PrintJson(const Options& options, const Loaded& loaded, const std::vector<Output>& outputs, const Latency& time) {
  const auto one = [&options](const Output& output) {
    std::string text = "{" + JsonTensor(*output.tensor) + ", \"values\": " + JsonList(output.values, JsonNumber);
    if (IsQuantised(*output.tensor)) text += ", \"stored\": " + JsonList(output.stored, JsonNumber);
    if (options.top) {
      text += ", \"top\": " + JsonList(output.Top(options.top), [&output](size_t i) {
        return "{\"class\": " + std::to_string(i) + ", \"value\": " + JsonNumber(output.values[i]) + "}";
      });
    }
    return text + "}";
  };
  std::cout << "{\"model\": " << JsonText(options.model) << ", \"threads\": " << options.threads;
  if (loaded.delegate) {
    std::cout << ", \"delegate\": {\"library\": " << JsonText(options.delegate)
              << ", \"operators\": " << loaded.delegated << ", \"of\": " << loaded.nodes << "}";
  }
  std::cout << ", \"outputs\": " << JsonList(outputs, one) << ", \"latency_ms\": {\"runs\": " << time.count
            << ", \"min\": " << JsonNumber(time.least) << ", \"median\": " << JsonNumber(time.median)
            << ", \"p90\": " << JsonNumber(time.p90) << ", \"max\": " << JsonNumber(time.greatest) << "}}\n";
}

void Act(const Options& options) {
  Loaded loaded;
  Load(options, loaded);
  if (options.list) return PrintList(options, *loaded.interpreter);
  ApplyDelegate(options, loaded);
  if (loaded.interpreter->AllocateTensors() != kTfLiteOk) {
    const std::string messages = loaded.messages.Take();
    throw Failure{kRunFailed, "the model " + options.model + " cannot be prepared", messages, FixFor(messages)};
  }
  FillInputs(options, *loaded.interpreter);
  const Latency time(Run(options, loaded));
  std::vector<Output> outputs;
  for (const int index : loaded.interpreter->outputs()) {
    if (loaded.interpreter->EnsureTensorDataIsReadable(index) != kTfLiteOk) {
      throw Failure{kRunFailed, "an output cannot be read back from the delegate", loaded.messages.Take()};
    }
    outputs.emplace_back(loaded.interpreter->tensor(index));
  }
  options.json ? PrintJson(options, loaded, outputs, time) : PrintText(options, loaded, outputs, time);
}

int Tell(const Failure& failure) {
  if (!failure.what.empty()) std::cerr << "tflite-run: " << failure.what << "\n";
  if (!failure.detail.empty()) std::cerr << failure.detail << "\n";
  if (!failure.fix.empty()) std::cerr << failure.fix << "\n";
  return failure.code;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (const std::optional<Options> options = ReadOptions(argc, argv)) Act(*options);
    if (!std::cout.flush()) throw Failure{kNotWritten, "cannot write the results", std::strerror(errno)};
    return kOk;
  } catch (const Failure& failure) {
    return Tell(failure);
  } catch (const std::bad_alloc&) {
    return Tell({kRunFailed, "not enough memory"});
  } catch (const std::exception& error) {
    return Tell({kRunFailed, "unexpected failure", error.what()});
  }
}
