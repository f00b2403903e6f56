/* The part of LiteRT's C interface that read_line.c calls, as version 2.3 has it.
 *
 * The Python wheel ai-edge-litert carries the library, libLiteRt.so, but no headers. A project of
 * your own is better off with those of the LiteRT sources; for one that runs models these
 * declarations are enough.
 *
 * Every function returns a status, 0 for success, and hands its result over by the last pointer.
 */
#ifndef EDGEOCR_LITERT_H
#define EDGEOCR_LITERT_H

#include <stddef.h>
#include <stdint.h>

typedef int LiteRtStatus;

typedef struct LiteRtEnvironmentT *LiteRtEnvironment;
typedef struct LiteRtModelT *LiteRtModel;
typedef struct LiteRtOptionsT *LiteRtOptions;
typedef struct LiteRtCompiledModelT *LiteRtCompiledModel;
typedef struct LiteRtSignatureT *LiteRtSignature;
typedef struct LiteRtTensorT *LiteRtTensor;
typedef struct LiteRtTensorBufferT *LiteRtTensorBuffer;
typedef const struct LiteRtTensorBufferRequirementsT *LiteRtTensorBufferRequirements;

enum { LITERT_CPU = 1 };                      /* hardware accelerators, a set of bits */
enum { LITERT_FLOAT32 = 1, LITERT_INT8 = 9 }; /* element types */
enum { LITERT_READ = 0, LITERT_WRITE = 1 };   /* how a buffer is locked */

enum { /* what an option of an environment is about, and of which type it is */
    LITERT_COMPILER_PLUGIN_FOLDER = 0,
    LITERT_DISPATCH_FOLDER = 1,
    LITERT_RUNTIME_FOLDER = 22,
    LITERT_LEAST_LOGGED = 25,
    LITERT_NUMBER = 2,
    LITERT_TEXT = 8,
};
enum { LITERT_ERRORS = 3 }; /* the least severe that is printed */

typedef struct {
    int32_t tag;
    struct {
        int32_t type;
        union {
            int64_t number;
            const char *text;
        } is;
    } value;
} LiteRtEnvOption;

typedef struct {
    int32_t element_type;
    uint32_t rank : 7;
    uint32_t has_strides : 1;
    int32_t dimensions[8];
    uint32_t strides[8];
} LiteRtRankedTensorType;

typedef struct {
    float scale;
    int64_t zero_point;
} LiteRtQuantizationPerTensor;

_Static_assert(sizeof(LiteRtEnvOption) == 24, "as the library lays it out");
_Static_assert(sizeof(LiteRtRankedTensorType) == 72, "as the library lays it out");
_Static_assert(sizeof(LiteRtQuantizationPerTensor) == 16, "as the library lays it out");

LiteRtStatus LiteRtCreateEnvironment(int count, const LiteRtEnvOption *, LiteRtEnvironment *);
void LiteRtDestroyEnvironment(LiteRtEnvironment);

LiteRtStatus LiteRtCreateModelFromFile(LiteRtEnvironment, const char *path, LiteRtModel *);
void LiteRtDestroyModel(LiteRtModel);
LiteRtStatus LiteRtGetNumModelSignatures(LiteRtModel, size_t *);
LiteRtStatus LiteRtGetModelSignature(LiteRtModel, size_t index, LiteRtSignature *);
LiteRtStatus LiteRtGetSignatureInputTensorByIndex(LiteRtSignature, size_t, LiteRtTensor *);
LiteRtStatus LiteRtGetSignatureOutputTensorByIndex(LiteRtSignature, size_t, LiteRtTensor *);
LiteRtStatus LiteRtGetRankedTensorType(LiteRtTensor, LiteRtRankedTensorType *);
LiteRtStatus LiteRtGetPerTensorQuantization(LiteRtTensor, LiteRtQuantizationPerTensor *);

LiteRtStatus LiteRtCreateOptions(LiteRtOptions *);
void LiteRtDestroyOptions(LiteRtOptions);
LiteRtStatus LiteRtSetOptionsHardwareAccelerators(LiteRtOptions, int accelerators);

LiteRtStatus LiteRtCreateCompiledModel(LiteRtEnvironment, LiteRtModel, LiteRtOptions,
                                       LiteRtCompiledModel *);
void LiteRtDestroyCompiledModel(LiteRtCompiledModel);
LiteRtStatus LiteRtRunCompiledModel(LiteRtCompiledModel, size_t signature, size_t input_count,
                                    LiteRtTensorBuffer *inputs, size_t output_count,
                                    LiteRtTensorBuffer *outputs);

LiteRtStatus LiteRtGetCompiledModelInputBufferRequirements(LiteRtCompiledModel, size_t signature,
                                                           size_t index,
                                                           LiteRtTensorBufferRequirements *);
LiteRtStatus LiteRtGetCompiledModelOutputBufferRequirements(LiteRtCompiledModel, size_t signature,
                                                            size_t index,
                                                            LiteRtTensorBufferRequirements *);
LiteRtStatus LiteRtCreateManagedTensorBufferFromRequirements(LiteRtEnvironment,
                                                             const LiteRtRankedTensorType *,
                                                             LiteRtTensorBufferRequirements,
                                                             LiteRtTensorBuffer *);
void LiteRtDestroyTensorBuffer(LiteRtTensorBuffer);
LiteRtStatus LiteRtLockTensorBuffer(LiteRtTensorBuffer, void **address, int mode);
LiteRtStatus LiteRtUnlockTensorBuffer(LiteRtTensorBuffer);

#endif
