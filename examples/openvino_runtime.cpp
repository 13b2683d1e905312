// Inspect a grey or RGB picture (binary PGM or PPM) with a model exported by `burnish export --to openvino`.
//
//   OV=$(python -c "import openvino, os; print(os.path.dirname(openvino.__file__))")   # from pip
//   g++ -std=c++17 openvino_runtime.cpp -I$OV/include $OV/libs/libopenvino.so.* -Wl,-rpath,$OV/libs -o inspect
//   ./inspect model.xml part.pgm heat.pgm     exit code: 0 good, 1 defect, other numbers: failed
#include <openvino/openvino.hpp>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <locale>
#include <sstream>
#include <string>

int main(int argc, char** argv) {
    // A second picture in the place of heat.pgm would be overwritten.
    if (argc != 4 || std::filesystem::path(argv[3]).filename().string().find("heat") == std::string::npos)
        return std::cerr << "usage: inspect model.xml part.pgm heat.pgm\n", 2;
    std::ifstream file(argv[2], std::ios::binary);
    std::string magic;
    size_t width = 0, height = 0, most = 0;
    file >> magic;
    for (size_t* number : {&width, &height, &most}) {
        while ((file >> std::ws).peek() == '#') file.ignore(1 << 20, '\n');  // comments, as GIMP's
        file >> *number;
    }
    const size_t channels = magic == "P6" ? 3 : 1;
    if (!file.ignore(1) || (magic != "P5" && magic != "P6") || most != 255)
        return std::cerr << argv[2] << " is no binary PGM or PPM of 8 bits\n", 2;
    ov::Tensor pixels(ov::element::u8, {height, width, channels});
    if (!file.read(reinterpret_cast<char*>(pixels.data<uint8_t>()), pixels.get_byte_size()))
        return std::cerr << argv[2] << " is cut short\n", 2;

    ov::Core core;  // float32: automatic precision would change verdicts where there is bfloat16
    auto model = core.read_model(argv[1]);
    auto fast = core.compile_model(model, "CPU", ov::hint::inference_precision(ov::element::f32));
    auto request = fast.create_infer_request();
    request.set_input_tensor(pixels);
    request.infer();
    const bool defect = *static_cast<const uint8_t*>(request.get_tensor("is_defect").data());
    const float score = *request.get_tensor("score").data<float>();
    if (!std::isfinite(score))  // it exceeds no threshold, so a broken machine would call all good
        return std::cerr << "the score is " << score << ": the model or this machine is broken\n", 2;
    std::cout << (defect ? "defect" : "good") << " score=" << score << "\n";

    // Heat maps have the calibration's scale, the same for every image: never stretch each its own way.
    const auto about = model->get_rt_info<std::string>("burnish");
    const std::string key = "\"heat_range\":[";
    std::istringstream range(about.substr(about.find(key) + key.size()));
    range.imbue(std::locale::classic());  // Qt and others switch to the user's locale, which may want 3,5
    float low = 0, high = 1;
    char comma = 0;
    range >> low >> comma >> high;
    const ov::Tensor map = request.get_tensor("anomaly_map");
    std::ofstream out(argv[3], std::ios::binary);
    out << "P5\n" << width << " " << height << "\n255\n";
    for (size_t i = 0; i < map.get_size(); ++i)
        out.put(char(255 * std::clamp((map.data<float>()[i] - low) / (high - low), 0.0f, 1.0f)));
    if (!out.flush()) return std::cerr << argv[3] << " cannot be written\n", 2;
    return defect ? 1 : 0;
}
