/* An external delegate that takes over no operator: it says which options it was given, and when it meets a model.
   With the option "refuse" it does not start, for the reason that the option gives. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tensorflow/lite/c/common.h>
#include <tensorflow/lite/delegates/external/external_delegate_interface.h>

static TfLiteStatus prepare(TfLiteContext *context, TfLiteDelegate *delegate)
{
    (void)delegate;
    fprintf(stderr, "echo-delegate: a model with %d tensors\n", (int)context->tensors_size);
    return kTfLiteOk;
}

TfLiteDelegate *tflite_plugin_create_delegate(const char *const *keys, const char *const *values, size_t count,
                                              void (*report)(const char *))
{
    TfLiteDelegate *delegate;
    size_t i;

    for (i = 0; i < count; i++) {
        if (strcmp(keys[i], "refuse") == 0) {
            report(values[i]);
            return NULL;
        }
        fprintf(stderr, "echo-delegate: %s=%s\n", keys[i], values[i]);
    }
    delegate = calloc(1, sizeof *delegate);
    if (delegate)
        delegate->Prepare = prepare;
    return delegate;
}

void tflite_plugin_destroy_delegate(TfLiteDelegate *delegate) { free(delegate); }
