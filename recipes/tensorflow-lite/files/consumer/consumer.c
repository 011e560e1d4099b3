/* Classify the 8x8 image in digit-5.raw by digits.tflite, through TensorFlow Lite's C API alone. */
#include <stdio.h>
#include <tensorflow/lite/c/c_api.h>
#include <tensorflow/lite/delegates/external/external_delegate.h>

static signed char pixels[64], odds[10];

static int classify(TfLiteInterpreter *interpreter)
{
    int i, best = 0;

    if (TfLiteInterpreterAllocateTensors(interpreter) != kTfLiteOk ||
        TfLiteTensorCopyFromBuffer(TfLiteInterpreterGetInputTensor(interpreter, 0), pixels, sizeof pixels) ||
        TfLiteInterpreterInvoke(interpreter) != kTfLiteOk ||
        TfLiteTensorCopyToBuffer(TfLiteInterpreterGetOutputTensor(interpreter, 0), odds, sizeof odds))
        return -1;
    for (i = 1; i < 10; i++)
        if (odds[i] > odds[best])
            best = i;
    return best;
}

int main(int argc, char **argv)
{
    TfLiteModel *model = argc > 2 ? TfLiteModelCreateFromFile(argv[1]) : NULL;
    TfLiteInterpreter *interpreter = model ? TfLiteInterpreterCreate(model, NULL) : NULL;
    FILE *image = argc > 2 ? fopen(argv[2], "rb") : NULL;
    int digit = -1;

    if (interpreter && image && fread(pixels, 1, sizeof pixels, image) == sizeof pixels)
        digit = classify(interpreter);
    printf("TensorFlow Lite %s: digit=%d\n", TfLiteVersion(), digit);
    if (argc > 3) { /* that it links is enough */
        TfLiteExternalDelegateOptions options = TfLiteExternalDelegateOptionsDefault(argv[3]);
        TfLiteExternalDelegateDelete(TfLiteExternalDelegateCreate(&options));
    }
    if (image)
        fclose(image);
    TfLiteInterpreterDelete(interpreter);
    TfLiteModelDelete(model);
    return digit < 0;
}
