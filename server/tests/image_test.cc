#include "extras/image.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string>
#include <utility>

#include "absl/strings/escaping.h"
#include "base/clock.h"
#include "extras/image_input.h"
#include "support/allocations.h"
#include "support/images.h"

namespace ems {
namespace {

using ::testing::ElementsAre;
using testing::EncodeJpeg;
using testing::EncodePng;
using ::testing::HasSubstr;
using testing::Paint;

int Ramp(int x, int y, int channel) { return x * 8 + y * 4 + channel * 16; }
int Level(int /*x*/, int /*y*/, int channel) { return 60 + channel * 40; }

int Pixel(const Image& image, int x, int y, int channel) {
  return static_cast<unsigned char>(image.pixels[(y * image.width + x) * image.channels + channel]);
}

std::string Refusal(const std::string& file) {
  const absl::StatusOr<Image> image = DecodeImage(file, {});
  EXPECT_EQ(image.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(image.status().message());
}

TEST(DecodeImage, ReadsPngExactly) {
  const Image painted = Paint(9, 5, 3, Ramp);
  const Image image = DecodeImage(EncodePng(painted), {}).value();
  EXPECT_EQ(image.width, 9);
  EXPECT_EQ(image.height, 5);
  EXPECT_EQ(image.pixels, painted.pixels);
}

TEST(DecodeImage, TakesTransparentPngPixelsAsBlack) {
  const Image image =
      DecodeImage(EncodePng(Paint(2, 2, 4, [](int x, int, int c) { return c == 3 ? x * 255 : 200; })), {}).value();
  EXPECT_EQ(Pixel(image, 0, 0, 0), 0);
  EXPECT_EQ(Pixel(image, 1, 0, 0), 200);
}

int Checks(int x, int y, int /*channel*/) { return (x + y) % 2; }

TEST(DecodeImage, ReadsPngWithAPalette) {
  const Image image = DecodeImage(EncodePng(Paint(3, 2, 1, Checks), {false, false, "abcxyz", "", ""}), {}).value();
  EXPECT_EQ(image.pixels, "abcxyzabcxyzabcxyz");
}

TEST(DecodeImage, ReadsInterlacedPng) {
  const Image painted = Paint(9, 5, 3, Ramp);
  EXPECT_EQ(DecodeImage(EncodePng(painted, {false, true, "", "", ""}), {}).value().pixels, painted.pixels);
}

// Such files are in sRGB as those of 8 bits are: PNG's specification, 13.13, and what browsers do.
TEST(DecodeImage, TakesSixteenBitsAsEight) {
  for (const int channels : {1, 3}) {
    const Image painted = Paint(5, 2, channels, [](int x, int, int) { return x * 32; });
    EXPECT_EQ(DecodeImage(EncodePng(painted, {true, false, "", "", ""}), {channels}).value().pixels, painted.pixels);
  }
}

std::string BigEndian(size_t number, int bytes) {
  std::string text;
  for (int i = bytes - 1; i >= 0; --i) text += static_cast<char>(number >> (8U * static_cast<unsigned>(i)));
  return text;
}

// Returns data as zlib's format holds it without compression (RFC 1950 and 1951).
std::string Stored(const std::string& data) {
  size_t a = 1;
  size_t b = 0;
  for (const char byte : data) {
    a = (a + static_cast<unsigned char>(byte)) % 65521;
    b = (b + a) % 65521;
  }
  const auto little = [](size_t number) {
    return std::string{static_cast<char>(number), static_cast<char>(number >> 8U)};
  };
  return "\x78\x01\x01" + little(data.size()) + little(~data.size()) + data + BigEndian(b << 16U | a, 4);
}

// Returns the head of an ICC profile of a display with red, green and blue, without tags (ICC.1:2010, 7.2).
std::string RgbProfile() {
  std::string profile = BigEndian(132, 4) + std::string(4, '\0') + BigEndian(0x02400000, 4) + "mntrRGB XYZ ";
  profile.resize(36, '\0');
  profile += "acsp";
  profile.resize(68, '\0');
  profile += BigEndian(0xF6D6, 4) + BigEndian(0x10000, 4) + BigEndian(0xD32D, 4);  // the white D50
  profile.resize(132, '\0');
  return profile;
}

// As ImageMagick leaves it when it makes a colour image grey.
TEST(DecodeImage, ReadsPngWithAColourProfileThatDoesNotFit) {
  const Image grey = Paint(5, 4, 1, Ramp);
  const std::string file =
      EncodePng(grey, {false, false, "", "iCCP", std::string("icc\0\0", 5) + Stored(RgbProfile())});
  EXPECT_EQ(DecodeImage(file, {1}).value().pixels, grey.pixels);
  EXPECT_EQ(DecodeImage(EncodePng(grey, {false, false, "", "sRGB", "too long"}), {1}).value().pixels, grey.pixels);
  const size_t pixels = file.find("IDAT");
  ASSERT_NE(pixels, std::string::npos);
  for (size_t size = pixels - 4; size + 12 < file.size(); ++size) Refusal(file.substr(0, size));
  for (size_t at = pixels; at + 12 < file.size(); ++at) {
    std::string damaged = file;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x55);
    Refusal(damaged);
  }
}

// Returns the checksum of a chunk, of its name and data (PNG's specification, annex D).
uint32_t Crc(const std::string& text) {
  uint32_t crc = ~uint32_t{0};
  for (const char byte : text) {
    crc ^= static_cast<unsigned char>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1U) ^ ((crc & 1U) != 0 ? 0xEDB88320U : 0U);
  }
  return ~crc;
}

// Returns the file with a byte changed in its first chunk of this name, counted from the end where negative.
std::string Changed(std::string file, const std::string& chunk, int at, char byte) {
  const size_t name = file.find(chunk);
  const size_t end = name + 4 + static_cast<unsigned char>(file[name - 1]);
  file[at < 0 ? end + at : name + 4 + at] = byte;
  return file.replace(end, 4, BigEndian(Crc(file.substr(name, end - name)), 4));
}

// The chunks are whole, but not what was packed. Of pixels that are too many libpng only warns.
TEST(DecodeImage, RefusesPixelsThatDoNotFit) {
  for (const std::string& profile : {std::string(), std::string("iCCP")}) {
    const std::string file = EncodePng(Paint(5, 4, 1, Ramp), {false, false, "", profile, "a broken profile"});
    EXPECT_TRUE(DecodeImage(file, {}).ok());
    EXPECT_THAT(Refusal(Changed(file, "IDAT", -1, '?')), HasSubstr("IDAT: incorrect data check"));
    EXPECT_THAT(Refusal(Changed(file, "IHDR", 7, 3)), HasSubstr("IDAT: "));  // the height
  }
}

TEST(DecodeImage, ReadsJpegOfBothKinds) {
  for (const bool progressive : {false, true}) {
    const Image image = DecodeImage(EncodeJpeg(Paint(16, 24, 3, Level), progressive), {}).value();
    EXPECT_EQ(image.width, 16);
    EXPECT_EQ(image.height, 24);
    for (int channel = 0; channel < 3; ++channel) EXPECT_NEAR(Pixel(image, 7, 20, channel), 60 + channel * 40, 3);
  }
}

// Puts an APP1 marker behind the file's first one, SOI.
std::string WithApp1(const std::string& jpeg, const std::string& content) {
  const size_t size = content.size() + 2;
  std::string marker = "\xFF\xE1";
  marker += {static_cast<char>(size >> 8U), static_cast<char>(size)};
  return jpeg.substr(0, 2) + marker + content + jpeg.substr(2);
}

// Returns Exif's content with two entries: the camera's make, as text elsewhere, and the orientation.
std::string Exif(int orientation, bool little, int type = 3) {
  const auto number = [little](unsigned value, int size) {
    std::string bytes;
    for (int i = 0; i < size; ++i) bytes += static_cast<char>(value >> (8U * (little ? i : size - 1 - i)));
    return bytes;
  };
  return std::string("Exif\0\0", 6) + (little ? "II" : "MM") + number(42, 2) + number(8, 4) + number(2, 2) +
         number(0x010F, 2) + number(2, 2) + number(6, 4) + number(38, 4) + number(0x0112, 2) + number(type, 2) +
         number(1, 4) + number(orientation, 2) + number(0, 2) + number(0, 4) + "Maker";
}

// The corner where the image is white: its number counts from the top left clockwise, as 0 to 3.
int WhiteCorner(const Image& image) {
  const std::array<std::pair<int, int>, 4> corners = {
      {{2, 2}, {image.width - 3, 2}, {image.width - 3, image.height - 3}, {2, image.height - 3}}};
  for (int i = 0; i < 4; ++i) {
    if (Pixel(image, corners[i].first, corners[i].second, 0) > 200) return i;
  }
  return -1;
}

// A wide image with a white corner at the top left, and a grey one at the top right.
int Marked(int x, int y, int /*channel*/) { return y >= 16 ? 0 : x < 16 ? 255 : x >= 32 ? 128 : 0; }

TEST(DecodeImage, TurnsPhotographsUpright) {
  const std::string jpeg = EncodeJpeg(Paint(48, 32, 3, Marked));
  // Where the row at the top and the column at the left of the file belong: Exif 2.3, tag 0x0112.
  const std::array<std::pair<int, int>, 8> corners = {{{0, 1}, {1, 0}, {2, 3}, {3, 2}, {0, 3}, {1, 2}, {2, 1}, {3, 0}}};
  for (int orientation = 1; orientation <= 8; ++orientation) {
    for (const bool little : {false, true}) {
      const Image image = DecodeImage(WithApp1(jpeg, Exif(orientation, little)), {}).value();
      EXPECT_EQ(image.width, orientation < 5 ? 48 : 32);
      EXPECT_EQ(image.height, orientation < 5 ? 32 : 48);
      EXPECT_EQ(WhiteCorner(image), corners[orientation - 1].first) << orientation;
      const int grey = corners[orientation - 1].second;
      const int x = grey == 0 || grey == 3 ? 4 : image.width - 5;
      const int y = grey < 2 ? 4 : image.height - 5;
      EXPECT_NEAR(Pixel(image, x, y, 0), 128, 20) << orientation;
    }
  }
  ImageFormat stored;
  stored.upright = false;
  EXPECT_EQ(WhiteCorner(DecodeImage(WithApp1(jpeg, Exif(3, true)), stored).value()), 0);
}

TEST(DecodeImage, DecodesATurnedJpegSmaller) {
  const std::string jpeg = WithApp1(EncodeJpeg(Paint(640, 320, 3, Level)), Exif(6, true));
  const Image image = DecodeImage(jpeg, {3, 80, 160}).value();
  EXPECT_EQ(image.width, 80);
  EXPECT_EQ(image.height, 160);
}

TEST(DecodeImage, TakesOtherMarkersForNoOrientation) {
  const std::string jpeg = EncodeJpeg(Paint(48, 32, 3, Marked));
  const std::string exif = Exif(6, true);
  for (size_t size = 0; size <= exif.size(); ++size) {  // the value ends at 38
    EXPECT_EQ(DecodeImage(WithApp1(jpeg, exif.substr(0, size)), {}).value().width, size >= 38 ? 32 : 48) << size;
  }
  for (const std::string& content :
       {std::string("http://ns.adobe.com/xap/1.0/"), Exif(0, true), Exif(9, false), Exif(6, true, 2)}) {  // 2: a text
    EXPECT_EQ(DecodeImage(WithApp1(jpeg, content), {}).value().width, 48);
  }
}

TEST(DecodeImage, TakesFilesInBase64) {
  const Image painted = Paint(9, 5, 3, Ramp);
  EXPECT_EQ(DecodeImage(absl::Base64Escape(EncodePng(painted)), {}).value().pixels, painted.pixels);
  EXPECT_EQ(DecodeImage(absl::Base64Escape(EncodeJpeg(painted)), {}).value().width, 9);
  EXPECT_THAT(Refusal("/9j/ is no base64!"), HasSubstr("neither a JPEG nor a PNG"));
  EXPECT_THAT(Refusal(absl::Base64Escape(absl::Base64Escape(EncodePng(painted)))), HasSubstr("neither"));
}

TEST(DecodeImage, MakesGreyOfColour) {
  for (const std::string& file : {EncodePng(Paint(8, 8, 3, [](int, int, int) { return 90; })),
                                  EncodeJpeg(Paint(8, 8, 3, [](int, int, int) { return 90; })),
                                  EncodeJpeg(Paint(8, 8, 1, [](int, int, int) { return 90; }))}) {
    const Image image = DecodeImage(file, {1, 8, 8}).value();
    EXPECT_EQ(image.pixels.size(), 64);
    EXPECT_NEAR(Pixel(image, 3, 3, 0), 90, 2);
  }
}

TEST(DecodeImage, DecodesLargeJpegsSmaller) {
  const std::string file = EncodeJpeg(Paint(640, 480, 3, Level));
  EXPECT_EQ(DecodeImage(file, {3, 100, 100})->width, 160);
  EXPECT_EQ(DecodeImage(file, {3, 641, 100})->width, 640);
  EXPECT_EQ(DecodeImage(file, {3, 80, 60})->height, 60);
}

TEST(DecodeImage, RefusesWhatIsNoImage) {
  EXPECT_THAT(Refusal("GIF89a"), HasSubstr("neither a JPEG nor a PNG file"));
  EXPECT_THAT(Refusal(""), HasSubstr("the 0 bytes are neither"));
}

TEST(DecodeImage, RefusesFilesThatAreCut) {
  for (const std::string& whole : {EncodePng(Paint(40, 40, 3, Ramp)), EncodeJpeg(Paint(40, 40, 3, Ramp))}) {
    for (size_t size = 8; size + 12 < whole.size(); size += 97) {
      EXPECT_THAT(Refusal(whole.substr(0, size)), HasSubstr("file cannot be read: ")) << size;
    }
  }
}

// Whatever the bytes are, decoding ends with a status.
TEST(DecodeImage, SurvivesEveryFlippedByte) {
  for (const std::string& whole : {EncodePng(Paint(12, 12, 3, Ramp)), EncodeJpeg(Paint(12, 12, 3, Ramp), true)}) {
    for (size_t i = 0; i < whole.size(); ++i) {
      std::string broken = whole;
      broken[i] = static_cast<char>(broken[i] ^ 0x55);
      (void)DecodeImage(broken, {});
    }
  }
}

TEST(DecodeImage, RefusesImagesThatAreTooLarge) {
  EXPECT_THAT(Refusal(EncodePng(Paint(4097, 4097, 1, [](int, int, int) { return 0; }))),
              HasSubstr("4097 x 4097 pixels are more than 16777216"));
  // A small JPEG file whose head claims 65000 x 65000.
  std::string file = EncodeJpeg(Paint(8, 8, 3, Level));
  const size_t head = file.find("\xFF\xC0");
  ASSERT_NE(head, std::string::npos);
  file.replace(head + 5, 4, "\xFD\xE8\xFD\xE8");
  EXPECT_THAT(Refusal(file), HasSubstr("65000 x 65000 pixels are more than"));
}

TEST(Resize, KeepsAnEvenImage) {
  const Image image = Paint(7, 5, 3, Level);
  for (const auto& [width, height] : {std::pair(3, 2), std::pair(14, 20), std::pair(7, 5), std::pair(1, 1)}) {
    const Image resized = Resize(image, width, height);
    EXPECT_EQ(resized.pixels, Paint(width, height, 3, Level).pixels);
  }
}

// As bilinear interpolation with pixel centres at halves does by hand.
TEST(Resize, Interpolates) {
  const Image image = Resize(Paint(2, 1, 1, [](int x, int, int) { return x * 100; }), 4, 1);
  EXPECT_THAT(
      (std::vector<int>{Pixel(image, 0, 0, 0), Pixel(image, 1, 0, 0), Pixel(image, 2, 0, 0), Pixel(image, 3, 0, 0)}),
      ElementsAre(0, 25, 75, 100));
}

TEST(Resize, AveragesWhereItShrinks) {
  // Stripes of one pixel become grey, not black or white.
  const Image image = Resize(Paint(64, 64, 1, [](int x, int, int) { return x % 2 * 255; }), 8, 8);
  for (const char pixel : image.pixels) EXPECT_NEAR(static_cast<unsigned char>(pixel), 127, 8);
  // Not only the pixels at the centre: of four, the outer two are white.
  const Image outer = Resize(Paint(8, 1, 1, [](int x, int, int) { return (x + 1) % 4 < 2 ? 240 : 0; }), 2, 1);
  for (const char pixel : outer.pixels) EXPECT_GT(static_cast<unsigned char>(pixel), 60);
}

// Files of a few kilobytes: the memory follows the image's size, not the product of its height and the model's width.
TEST(Resize, TakesLittleMemoryForALine) {
  constexpr int kLong = 1'000'000;
  const auto half = [](int x, int y, int channel) { return x + y < kLong / 2 ? 0 : 100 + channel * 50; };
  for (const auto& [width, height] : {std::pair(1, kLong), std::pair(kLong, 1)}) {
    const Image image = DecodeImage(EncodePng(Paint(width, height, 3, half)), {}).value();
    Image resized;
    EXPECT_LT(testing::PeakOf([&] { resized = Resize(image, 224, 224); }), 50'000'000);
    EXPECT_EQ(resized.pixels.size(), 224 * 224 * 3);
    EXPECT_EQ(Pixel(resized, 100, 100, 2), 0);
    EXPECT_EQ(Pixel(resized, width > 1 ? 120 : 0, width > 1 ? 0 : 120, 2), 200);
    EXPECT_EQ(Pixel(resized, 223, 223, 1), 150);
  }
}

Tensor Files(const std::vector<std::string>& files) {
  Tensor tensor = MakeTensor(DataType::kString, {static_cast<int64_t>(files.size())});
  tensor.strings = files;
  return tensor;
}

TEST(PlanImageInput, TakesIntegersWithoutASidecar) {
  const auto plan = [](DataType dtype, Shape shape) {
    return PlanImageInput("x", {dtype, std::move(shape), "x"}, {}, nullptr).value();
  };
  EXPECT_TRUE(plan(DataType::kUint8, {1, 4, 4, 3}).has_value());
  EXPECT_EQ(plan(DataType::kInt8, {-1, 4, 4, 1})->offset, -128);
  EXPECT_FALSE(plan(DataType::kFloat, {1, 4, 4, 3}).has_value());
  EXPECT_FALSE(plan(DataType::kUint8, {1, 4, 4, 2}).has_value());
  EXPECT_FALSE(plan(DataType::kUint8, {1, -1, -1, 3}).has_value());
  EXPECT_FALSE(plan(DataType::kInt32, {1, 4, 4, 3}).has_value());
}

TEST(PlanImageInput, FollowsTheSidecar) {
  ImageInput settings;
  settings.set_mean(127.5F);
  settings.set_std(127.5F);
  const auto values = [&](DataType dtype, Quantisation quantisation) {
    const ImageInputPlan plan = *PlanImageInput("x", {dtype, {1, 1, 1, 1}, "x"}, quantisation, &settings).value();
    return DecodeImages(plan, Files({EncodePng(Paint(1, 1, 1, [](int, int, int) { return 255; }))})).value();
  };
  EXPECT_FLOAT_EQ(values(DataType::kFloat, {}).data<float>()[0], 1);
  EXPECT_EQ(values(DataType::kInt8, {1 / 64.0F, 10}).data<int8_t>()[0], 74);
  EXPECT_EQ(values(DataType::kInt8, {1 / 64.6F, 10}).data<int8_t>()[0], 75);     // the nearest value
  EXPECT_EQ(values(DataType::kUint8, {1 / 300.0F, 0}).data<uint8_t>()[0], 255);  // held in the type's range
  const auto refused = PlanImageInput("x", {DataType::kFloat, {1, 8}, "x"}, {}, &settings);
  EXPECT_THAT(std::string(refused.status().message()),
              HasSubstr("the input x cannot take images: it is DT_FLOAT [1,8]"));
  settings.set_disabled(true);
  EXPECT_FALSE(PlanImageInput("x", {DataType::kUint8, {1, 4, 4, 3}, "x"}, {}, &settings).value().has_value());
}

TEST(DecodeImages, MakesARowOfEachFile) {
  const ImageInputPlan plan = *PlanImageInput("x", {DataType::kUint8, {1, 2, 2, 1}, "x"}, {}, nullptr).value();
  const auto grey = [](int level) {
    Image image = Paint(4, 4, 1, [](int, int, int) { return 0; });
    std::fill(image.pixels.begin(), image.pixels.end(), static_cast<char>(level));
    return EncodePng(image);
  };
  const Tensor tensor = DecodeImages(plan, Files({grey(10), grey(20)})).value();
  EXPECT_EQ(tensor.shape, (Shape{2, 2, 2, 1}));
  EXPECT_EQ(tensor.bytes, std::string(4, 10) + std::string(4, 20));
  const auto refused = DecodeImages(plan, Files({grey(1), "nothing"}));
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("image 1: the 7 bytes are neither"));
}

TEST(DecodeImages, EndsAtTheDeadline) {
  const ImageInputPlan plan = *PlanImageInput("x", {DataType::kUint8, {1, 2, 2, 1}, "x"}, {}, nullptr).value();
  const Tensor files = Files({EncodePng(Paint(4, 4, 1, Ramp))});
  EXPECT_EQ(DecodeImages(plan, files, SteadyNow() - absl::Seconds(1)).status(),
            absl::DeadlineExceededError("the deadline passed when 0 of 1 images were decoded"));
  EXPECT_TRUE(DecodeImages(plan, files, SteadyNow() + absl::Hours(1)).ok());
}

TEST(DecodeImages, PadsWhereTheAspectIsKept) {
  ImageInput settings;
  settings.set_keep_aspect(true);
  settings.set_mean(7);
  const ImageInputPlan plan = *PlanImageInput("x", {DataType::kFloat, {1, 4, 4, 1}, "x"}, {}, &settings).value();
  const Tensor tensor =
      DecodeImages(plan, Files({EncodePng(Paint(8, 4, 1, [](int, int, int) { return 107; }))})).value();
  for (int i = 0; i < 16; ++i) EXPECT_EQ(tensor.data<float>()[i], i < 8 ? 100 : 0) << i;
}

}  // namespace
}  // namespace ems
