#include "client/input.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <sstream>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/file.h"
#include "client/numbers.h"

namespace ems {

namespace {

constexpr char kNumpyMagic[] = "\x93NUMPY";

// The shape with 1 for any size.
Shape Smallest(Shape shape) {
  std::replace(shape.begin(), shape.end(), int64_t{-1}, int64_t{1});
  return shape;
}

absl::Status Misfit(const TensorSpec& spec, const std::string& given) {
  return absl::InvalidArgumentError(
      absl::StrCat("expected ", std::string(Name(spec.dtype)), " ", ToString(spec.shape), ", the input has ", given));
}

absl::StatusOr<Tensor> FromRaw(const TensorSpec& spec, std::string data) {
  if (spec.dtype == DataType::kString) {
    Tensor tensor = MakeTensor(spec.dtype, Smallest(spec.shape));
    if (tensor.strings.size() != 1) return Misfit(spec, "one string, the content of the file");
    tensor.strings[0] = std::move(data);
    return tensor;
  }
  Tensor tensor = MakeTensor(spec.dtype, Smallest(spec.shape));
  // Rows of a batch of any size come one after another.
  const size_t row = tensor.bytes.size();
  if (!spec.shape.empty() && spec.shape[0] == -1 && row > 0 && !data.empty() && data.size() % row == 0) {
    tensor.shape[0] = static_cast<int64_t>(data.size() / row);
  } else if (data.size() != row) {
    return Misfit(spec, absl::StrCat(data.size(), " bytes instead of ", row));
  }
  tensor.bytes = std::move(data);
  return tensor;
}

// Converts numbers to the dtype that the model expects.
absl::StatusOr<Tensor> Converted(const TensorSpec& spec, Tensor from) {
  if (from.dtype == spec.dtype) return from;
  Tensor tensor = MakeTensor(spec.dtype, from.shape);
  const auto count = static_cast<size_t>(*NumElements(from.shape));
  for (size_t i = 0; i < count; ++i) {
    if (absl::Status status = SetNumber(Number(from, i), i, &tensor); !status.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat(status.message(), "; for a quantized model, save numpy.round(values / scale) + zero_point"));
    }
  }
  return tensor;
}

// ---- NumPy arrays, as numpy.lib.format documents them -------------------------------------------------------

// Returns the text between `before` and `after` in the header, empty where it is not there.
std::string Between(const std::string& text, const std::string& before, char after) {
  const size_t start = text.find(before);
  if (start == std::string::npos) return "";
  const size_t from = start + before.size();
  return text.substr(from, text.find(after, from) - from);
}

absl::StatusOr<Shape> NumpyShape(const std::string& header) {
  Shape shape;
  const std::string text = Between(header, "'shape': (", ')');
  for (const absl::string_view word : absl::StrSplit(text, absl::ByAnyChar(", "), absl::SkipEmpty())) {
    int64_t size = 0;
    if (!absl::SimpleAtoi(word, &size) || size < 0) return absl::InvalidArgumentError("not a valid .npy file");
    shape.push_back(size);
  }
  return shape;
}

absl::StatusOr<Tensor> ParseNumpy(const std::string& data) {
  static const auto* const types = new std::map<std::string, DataType>{
      {"|b1", DataType::kBool},   {"|i1", DataType::kInt8},  {"|u1", DataType::kUint8},  {"<i2", DataType::kInt16},
      {"<u2", DataType::kUint16}, {"<i4", DataType::kInt32}, {"<u4", DataType::kUint32}, {"<i8", DataType::kInt64},
      {"<u8", DataType::kUint64}, {"<f2", DataType::kHalf},  {"<f4", DataType::kFloat},  {"<f8", DataType::kDouble},
  };
  if (data.size() < 12) return absl::InvalidArgumentError("the .npy file is cut short");
  const auto byte = [&data](size_t i) { return static_cast<size_t>(static_cast<unsigned char>(data[i])); };
  const bool long_header = data[6] >= 2;
  const size_t start = long_header ? 12 : 10;
  const size_t length = byte(8) | byte(9) << 8U | (long_header ? byte(10) << 16U | byte(11) << 24U : 0);
  if (length > data.size() - start) return absl::InvalidArgumentError("the .npy file is cut short");
  const std::string header = data.substr(start, length);
  const std::string name = Between(header, "'descr': '", '\'');
  const auto type = types->find(name);
  if (type == types->end()) return absl::InvalidArgumentError(absl::StrCat("a .npy file of type '", name, "'"));
  if (Between(header, "'fortran_order': ", ',') != "False") {
    return absl::InvalidArgumentError("the .npy file is in Fortran order; save numpy.ascontiguousarray(...)");
  }
  absl::StatusOr<Shape> shape = NumpyShape(header);
  if (!shape.ok()) return shape.status();
  Tensor tensor{type->second, *std::move(shape), data.substr(start + length), {}};
  if (!NumElements(tensor.shape) || !IsWhole(tensor)) {
    return absl::InvalidArgumentError("the .npy file is cut short, or too long");
  }
  return tensor;
}

absl::StatusOr<Tensor> FromNumpy(const TensorSpec& spec, const std::string& data) {
  absl::StatusOr<Tensor> tensor = ParseNumpy(data);
  if (!tensor.ok()) return tensor;
  if (tensor->shape.size() != spec.shape.size()) {
    // Such as an image without the dimension of the batch.
    Shape expected = Smallest(spec.shape);
    if (NumElements(expected) != NumElements(tensor->shape)) return Misfit(spec, ToString(tensor->shape));
    tensor->shape = std::move(expected);
  }
  return Converted(spec, *std::move(tensor));
}

// ---- PGM and PPM images, plain or binary --------------------------------------------------------------------

struct Image {
  int64_t width = 0;
  int64_t height = 0;
  int64_t channels = 1;
  std::vector<double> pixels;  // 0 to 255
};

// Reads the numbers of a header, or of a plain image; comments end with the line. -1 where there is none.
int64_t NextNumber(std::istream& stream) {
  while (stream >> std::ws && stream.peek() == '#') stream.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  int64_t value = -1;
  stream >> value;
  return stream ? value : -1;
}

absl::StatusOr<Image> ParseImage(const std::string& data) {
  constexpr int64_t kSide = 32768;
  std::istringstream stream(data);
  std::string magic;
  stream >> magic;
  Image image;
  image.channels = magic == "P2" || magic == "P5" ? 1 : 3;
  image.width = NextNumber(stream);
  image.height = NextNumber(stream);
  const int64_t greatest = NextNumber(stream);
  if (std::min({image.width, image.height, greatest}) < 1 || std::max(image.width, image.height) > kSide ||
      greatest > 65535) {
    return absl::InvalidArgumentError("the image has no valid header");
  }
  const bool plain = magic < "P5";
  if (!plain) stream.get();  // the single white space after the header
  const auto count = static_cast<size_t>(image.width * image.height * image.channels);
  if (count > data.size()) return absl::InvalidArgumentError("the image is cut short");  // a byte for each pixel
  for (size_t i = 0; i < count; ++i) {
    int64_t pixel = plain ? NextNumber(stream) : stream.get();
    if (!plain && greatest > 255) pixel = pixel * 256 + stream.get();
    if (!stream || pixel < 0) return absl::InvalidArgumentError("the image is cut short");
    if (pixel > greatest) return absl::InvalidArgumentError("a pixel of the image exceeds the header's maximum");
    image.pixels.push_back(static_cast<double>(pixel) * 255.0 / static_cast<double>(greatest));
  }
  return image;
}

// The image's shape with as many dimensions as the model expects.
Shape ImageShape(const Image& image, const TensorSpec& spec) {
  const int64_t size = image.width * image.height * image.channels;
  switch (spec.shape.size()) {
    case 1:
      return {size};
    case 2:
      return image.channels == 1 && spec.shape[1] != size ? Shape{image.height, image.width} : Shape{1, size};
    case 3:
      return spec.shape[2] == image.channels ? Shape{image.height, image.width, image.channels}
                                             : Shape{1, image.height, image.width * image.channels};
    default:
      return {1, image.height, image.width, image.channels};
  }
}

bool Accepts(const Shape& expected, const Shape& given) {
  return std::equal(expected.begin(), expected.end(), given.begin(), given.end(),
                    [](int64_t want, int64_t have) { return want == -1 || want == have; });
}

absl::StatusOr<Tensor> FromImage(const TensorSpec& spec, const std::string& data) {
  const absl::StatusOr<Image> image = ParseImage(data);
  if (!image.ok()) return image.status();
  const Shape shape = ImageShape(*image, spec);
  if (!Accepts(spec.shape, shape)) {
    return Misfit(spec, absl::StrCat("an image of shape ", ToString(shape), "; scale the image first"));
  }
  const bool bytes = spec.dtype == DataType::kUint8 || spec.dtype == DataType::kInt8;
  Tensor tensor = MakeTensor(spec.dtype, shape);
  for (size_t i = 0; i < image->pixels.size(); ++i) {
    double value = image->pixels[i] / 255.0;
    if (bytes) value = std::nearbyint(image->pixels[i]) - (spec.dtype == DataType::kInt8 ? 128.0 : 0.0);
    if (absl::Status status = SetNumber(value, i, &tensor); !status.ok()) return status;
  }
  return tensor;
}

bool IsImage(const std::string& data) {
  return data.size() > 2 && data[0] == 'P' && absl::StrContains("2356", data.substr(1, 1)) &&
         absl::ascii_isspace(static_cast<unsigned char>(data[2]));
}

// Returns whether the server may decode the file: it scales photographs to inputs of [n, height, width, channels].
bool IsPhotograph(const TensorSpec& spec, const std::string& data) {
  return spec.shape.size() == 4 && (absl::StartsWith(data, "\xFF\xD8\xFF") || absl::StartsWith(data, "\x89PNG\r\n"));
}

}  // namespace

absl::StatusOr<Tensor> ReadInput(const TensorSpec& spec, const std::string& source) {
  if (!NumElements(Smallest(spec.shape))) {
    return absl::InvalidArgumentError(absl::StrCat("no tensor has the shape ", ToString(spec.shape)));
  }
  if (source == "zeros") return MakeTensor(spec.dtype, Smallest(spec.shape));
  absl::StatusOr<std::string> data = ReadFile(source);
  if (!data.ok()) return data.status();
  if (spec.dtype == DataType::kString) return FromRaw(spec, *std::move(data));
  if (absl::StartsWith(*data, kNumpyMagic)) return FromNumpy(spec, *data);
  // Raw bytes of the expected size may begin like an image.
  if (data->size() != MakeTensor(spec.dtype, Smallest(spec.shape)).bytes.size()) {
    if (IsImage(*data)) return FromImage(spec, *data);
    if (IsPhotograph(spec, *data)) return Tensor{DataType::kString, {1}, "", {*std::move(data)}};
  }
  return FromRaw(spec, *std::move(data));
}

}  // namespace ems
