/*
 * Runs TFLite models for io.github.edgeocr.litert.LiteRtRunner through LiteRT 2.3's C interface.
 *
 * The library, libLiteRt.so, is looked up when the program runs: neither LiteRT's headers nor the
 * library are needed to build this file, and an app without the library can say so on its screen.
 * The declarations below state the interface as this file uses it. LiteRT's structures are copied
 * field for field; their sizes are held by assertions.
 *
 * No state goes from one run into the next: LiteRT refuses models with variables, as an LSTM has.
 */
#include <dlfcn.h>
#include <jni.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

typedef int Status; /* 0 is success */
typedef void *Handle;

enum { MAX_RANK = 8, FLOAT32 = 1, INT8 = 9, PER_TENSOR = 1 };
enum { CPU = 1, LOCK_READ = 0, LOCK_WRITE = 1 };

typedef struct {
  uint32_t rank : 7;
  uint32_t has_strides : 1;
  int32_t dimensions[MAX_RANK];
  uint32_t strides[MAX_RANK];
} Layout;

typedef struct {
  int32_t element_type;
  Layout layout;
} TensorType;

typedef struct {
  float scale;
  int64_t zero_point;
} Quantization;

typedef struct {
  int32_t tag;
  struct {
    int32_t type;
    union {
      int64_t number;
      const char *text;
    } is;
  } value;
} EnvironmentOption;

enum { TAG_COMPILER_FOLDER = 0, TAG_DISPATCH_FOLDER = 1 };
enum { TAG_RUNTIME_FOLDER = 22, TAG_LEAST_LOGGED = 25 };
enum { IS_NUMBER = 2, IS_TEXT = 8, ERRORS = 3 };

_Static_assert(sizeof(Layout) == 68, "LiteRtLayout");
_Static_assert(sizeof(TensorType) == 72, "LiteRtRankedTensorType");
_Static_assert(offsetof(Quantization, zero_point) == 8, "LiteRtQuantizationPerTensor");
_Static_assert(sizeof(EnvironmentOption) == 24, "LiteRtEnvOption");

/* Every function of LiteRT that is used: result, name, parameters. */
#define LITERT_FUNCTIONS(F)                                                                       \
  F(Status, CreateEnvironment, (int, const EnvironmentOption *, Handle *))                        \
  F(Status, CreateModelFromBuffer, (Handle environment, const void *, size_t, Handle *))          \
  F(void, DestroyModel, (Handle))                                                                 \
  F(Status, CreateOptions, (Handle *))                                                            \
  F(void, DestroyOptions, (Handle))                                                               \
  F(Status, SetOptionsHardwareAccelerators, (Handle, int))                                        \
  F(Status, CreateOpaqueOptions, (const char *, void *, void (*)(void *), Handle *))              \
  F(Status, AddOpaqueOptions, (Handle, Handle))                                                   \
  F(Status, CreateCompiledModel, (Handle environment, Handle model, Handle options, Handle *))    \
  F(void, DestroyCompiledModel, (Handle))                                                         \
  F(Status, GetNumModelSignatures, (Handle model, size_t *))                                      \
  F(Status, GetModelSignature, (Handle model, size_t, Handle *))                                  \
  F(Status, GetSignatureKey, (Handle, const char **))                                             \
  F(Status, GetNumSignatureInputs, (Handle, size_t *))                                            \
  F(Status, GetNumSignatureOutputs, (Handle, size_t *))                                           \
  F(Status, GetSignatureInputName, (Handle, size_t, const char **))                               \
  F(Status, GetSignatureOutputName, (Handle, size_t, const char **))                              \
  F(Status, GetSignatureInputTensorByIndex, (Handle, size_t, Handle *))                           \
  F(Status, GetSignatureOutputTensorByIndex, (Handle, size_t, Handle *))                          \
  F(Status, GetRankedTensorType, (Handle, TensorType *))                                          \
  F(Status, GetQuantizationTypeId, (Handle, int *))                                               \
  F(Status, GetPerTensorQuantization, (Handle, Quantization *))                                   \
  F(Status, CompiledModelResizeInputTensorNonStrict, (Handle, size_t, size_t, const int *, size_t))\
  F(Status, GetCompiledModelOutputTensorLayouts, (Handle, size_t, size_t, Layout *, bool))        \
  F(Status, GetCompiledModelInputBufferRequirements, (Handle, size_t, size_t, Handle *))          \
  F(Status, GetCompiledModelOutputBufferRequirements, (Handle, size_t, size_t, Handle *))         \
  F(Status, CreateManagedTensorBufferFromRequirements,                                            \
    (Handle environment, const TensorType *, Handle requirements, Handle *))                      \
  F(void, DestroyTensorBuffer, (Handle))                                                          \
  F(Status, LockTensorBuffer, (Handle, void **, int))                                             \
  F(Status, UnlockTensorBuffer, (Handle))                                                         \
  F(Status, RunCompiledModel, (Handle, size_t, size_t, Handle *, size_t, Handle *))

static struct {
  Handle environment;
#define DECLARE(result, name, parameters) result(*name) parameters;
  LITERT_FUNCTIONS(DECLARE)
#undef DECLARE
} lite_rt;

typedef struct {
  void *content;
  int threads;
  Handle model;
  Handle compiled;
} Runner;

static void throw(JNIEnv *env, const char *message) {
  jclass type = (*env)->FindClass(env, "io/github/edgeocr/RuntimeUnavailableException");
  if (type != NULL) (*env)->ThrowNew(env, type, message);
}

static bool succeeds(JNIEnv *env, Status status, const char *call) {
  if (status == 0) return true;
  char message[160];
  snprintf(message, sizeof message, "LiteRT refuses: LiteRt%s returned status %d", call, status);
  throw(env, message);
  return false;
}

/* Calls a function of LiteRT; whether it succeeded, else an exception is pending. */
#define CALL(name, ...) succeeds(env, lite_rt.name(__VA_ARGS__), #name)

JNIEXPORT void JNICALL Java_io_github_edgeocr_litert_LiteRtRunner_loadLibrary(JNIEnv *env,
                                                                              jclass type,
                                                                              jstring path) {
  (void)type;
  const char *name = (*env)->GetStringUTFChars(env, path, NULL);
  if (name == NULL) return;
  void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
  (*env)->ReleaseStringUTFChars(env, path, name);
  if (library == NULL) {
    throw(env, dlerror());
    return;
  }
  const char *missing = NULL;
#define FIND(result, function, parameters)                                     \
  *(void **)&lite_rt.function = dlsym(library, "LiteRt" #function);            \
  if (lite_rt.function == NULL) missing = "LiteRt" #function;
  LITERT_FUNCTIONS(FIND)
#undef FIND
  if (missing != NULL) {
    char message[160];
    snprintf(message, sizeof message, "the library has no %s; LiteRT 2.3 has", missing);
    throw(env, message);
    dlclose(library);
    return;
  }
  /* Accelerators and plugins are looked for in folders, and loaded; processors need none. */
  const char *nowhere = "/nonexistent";
  const EnvironmentOption options[] = {
      {.tag = TAG_COMPILER_FOLDER, .value = {.type = IS_TEXT, .is.text = nowhere}},
      {.tag = TAG_DISPATCH_FOLDER, .value = {.type = IS_TEXT, .is.text = nowhere}},
      {.tag = TAG_RUNTIME_FOLDER, .value = {.type = IS_TEXT, .is.text = nowhere}},
      {.tag = TAG_LEAST_LOGGED, .value = {.type = IS_NUMBER, .is.number = ERRORS}},
  };
  (void)CALL(CreateEnvironment, sizeof options / sizeof *options, options, &lite_rt.environment);
}

static void free_runner(Runner *runner) {
  if (runner->compiled != NULL) lite_rt.DestroyCompiledModel(runner->compiled);
  if (runner->model != NULL) lite_rt.DestroyModel(runner->model);
  free(runner->content);
  free(runner);
}

static bool compile(JNIEnv *env, Runner *runner) {
  Handle options = NULL;
  Handle xnnpack = NULL;
  bool compiled = false;
  char *settings = malloc(32); /* Belongs to the options. */
  if (settings == NULL) {
    throw(env, "out of memory");
    return false;
  }
  snprintf(settings, 32, "num_threads = %d\n", runner->threads);
  if (!CALL(CreateOptions, &options)) {
    free(settings);
  } else if (!CALL(CreateOpaqueOptions, "xnnpack", settings, free, &xnnpack)) {
    free(settings);
    lite_rt.DestroyOptions(options);
  } else {
    compiled = CALL(AddOpaqueOptions, options, xnnpack) &&
               CALL(SetOptionsHardwareAccelerators, options, CPU) &&
               CALL(CreateCompiledModel, lite_rt.environment, runner->model, options,
                    &runner->compiled);
    lite_rt.DestroyOptions(options);
  }
  return compiled;
}

JNIEXPORT jlong JNICALL Java_io_github_edgeocr_litert_LiteRtRunner_open(JNIEnv *env, jclass type,
                                                                       jbyteArray content,
                                                                       jint threads) {
  (void)type;
  size_t size = (size_t)(*env)->GetArrayLength(env, content);
  Runner *runner = calloc(1, sizeof *runner);
  if (runner == NULL || (runner->content = malloc(size + 1)) == NULL) {
    free(runner);
    throw(env, "out of memory");
    return 0;
  }
  runner->threads = threads;
  (*env)->GetByteArrayRegion(env, content, 0, (jsize)size, runner->content);
  if (CALL(CreateModelFromBuffer, lite_rt.environment, runner->content, size, &runner->model) &&
      compile(env, runner))
    return (jlong)(intptr_t)runner;
  free_runner(runner);
  return 0;
}

JNIEXPORT void JNICALL Java_io_github_edgeocr_litert_LiteRtRunner_close(JNIEnv *env, jclass type,
                                                                       jlong handle) {
  (void)env;
  (void)type;
  free_runner((Runner *)(intptr_t)handle);
}

JNIEXPORT jobjectArray JNICALL
Java_io_github_edgeocr_litert_LiteRtRunner_signatures(JNIEnv *env, jclass type, jlong handle) {
  (void)type;
  Runner *runner = (Runner *)(intptr_t)handle;
  size_t count;
  if (!CALL(GetNumModelSignatures, runner->model, &count)) return NULL;
  jclass text = (*env)->FindClass(env, "java/lang/String");
  if (text == NULL) return NULL;
  jobjectArray names = (*env)->NewObjectArray(env, (jsize)count, text, NULL);
  for (size_t i = 0; names != NULL && i < count; i++) {
    Handle signature;
    const char *key;
    if (!CALL(GetModelSignature, runner->model, i, &signature) ||
        !CALL(GetSignatureKey, signature, &key))
      return NULL;
    jstring name = (*env)->NewStringUTF(env, key);
    if (name == NULL) return NULL;
    (*env)->SetObjectArrayElement(env, names, (jsize)i, name);
    (*env)->DeleteLocalRef(env, name);
  }
  return names;
}

/* The one input or output of a signature. */
static bool find_tensor(JNIEnv *env, Runner *runner, size_t index, bool input, Handle *tensor,
                        const char **name) {
  Handle signature;
  size_t count;
  if (!CALL(GetModelSignature, runner->model, index, &signature)) return false;
  bool counted = input ? CALL(GetNumSignatureInputs, signature, &count)
                       : CALL(GetNumSignatureOutputs, signature, &count);
  if (!counted) return false;
  if (count != 1) {
    char message[96];
    snprintf(message, sizeof message, "a signature has %d %s, it must have one", (int)count,
             input ? "inputs" : "outputs");
    throw(env, message);
    return false;
  }
  return input ? CALL(GetSignatureInputName, signature, 0, name) &&
                     CALL(GetSignatureInputTensorByIndex, signature, 0, tensor)
               : CALL(GetSignatureOutputName, signature, 0, name) &&
                     CALL(GetSignatureOutputTensorByIndex, signature, 0, tensor);
}

static bool find_type(JNIEnv *env, Runner *runner, size_t index, bool input, Handle *tensor,
                      const char **name, TensorType *type) {
  if (!find_tensor(env, runner, index, input, tensor, name) ||
      !CALL(GetRankedTensorType, *tensor, type))
    return false;
  if (type->element_type == INT8 || type->element_type == FLOAT32) return true;
  char message[128];
  snprintf(message, sizeof message, "%.60s has TFLite type %d, it must be int8 or float32", *name,
           (int)type->element_type);
  throw(env, message);
  return false;
}

JNIEXPORT jobject JNICALL Java_io_github_edgeocr_litert_LiteRtRunner_port(JNIEnv *env, jclass type,
                                                                         jlong handle, jint index,
                                                                         jboolean input) {
  (void)type;
  Runner *runner = (Runner *)(intptr_t)handle;
  Handle tensor;
  TensorType tensor_type;
  Quantization quantization = {1.0f, 0};
  int scheme;
  const char *name;
  if (!find_type(env, runner, (size_t)index, input, &tensor, &name, &tensor_type)) return NULL;
  if (tensor_type.element_type == INT8) {
    if (!CALL(GetQuantizationTypeId, tensor, &scheme)) return NULL;
    if (scheme != PER_TENSOR) {
      throw(env, "an int8 input or output has no scale of its own");
      return NULL;
    }
    if (!CALL(GetPerTensorQuantization, tensor, &quantization)) return NULL;
  }
  const int rank = tensor_type.layout.rank;
  jclass runner_type = (*env)->FindClass(env, "io/github/edgeocr/litert/LiteRtRunner");
  jmethodID make = runner_type == NULL
                       ? NULL
                       : (*env)->GetStaticMethodID(env, runner_type, "makePort",
                                                   "(Ljava/lang/String;Z[IFI)"
                                                   "Lio/github/edgeocr/TensorPort;");
  jstring java_name = make == NULL ? NULL : (*env)->NewStringUTF(env, name);
  jintArray shape = java_name == NULL ? NULL : (*env)->NewIntArray(env, rank);
  if (shape == NULL) return NULL;
  (*env)->SetIntArrayRegion(env, shape, 0, rank, (const jint *)tensor_type.layout.dimensions);
  return (*env)->CallStaticObjectMethod(env, runner_type, make, java_name,
                                        (jboolean)(tensor_type.element_type == INT8), shape,
                                        quantization.scale, (jint)quantization.zero_point);
}

static size_t element_count(const Layout *layout) {
  size_t count = 1;
  for (unsigned i = 0; i < layout->rank; i++) count *= (size_t)layout->dimensions[i];
  return count;
}

/* Moves a Java array, byte[] or float[] as `type` says, into a buffer or out of it. */
static bool copy(JNIEnv *env, jarray values, const TensorType *type, Handle buffer, bool write) {
  void *memory;
  jsize count = (jsize)element_count(&type->layout);
  if (!CALL(LockTensorBuffer, buffer, &memory, write ? LOCK_WRITE : LOCK_READ)) return false;
  if (type->element_type == INT8 && write)
    (*env)->GetByteArrayRegion(env, values, 0, count, memory);
  else if (type->element_type == INT8)
    (*env)->SetByteArrayRegion(env, values, 0, count, memory);
  else if (write)
    (*env)->GetFloatArrayRegion(env, values, 0, count, memory);
  else
    (*env)->SetFloatArrayRegion(env, values, 0, count, memory);
  return CALL(UnlockTensorBuffer, buffer) && !(*env)->ExceptionCheck(env);
}

/*
 * Resizes where the input has another shape than the model had last, runs, and returns the output
 * as byte[] or float[]; its shape is written into `output_shape`, padded with zeros.
 */
JNIEXPORT jobject JNICALL Java_io_github_edgeocr_litert_LiteRtRunner_run(
    JNIEnv *env, jclass type, jlong handle, jint index, jarray input, jintArray input_shape,
    jboolean resize, jintArray output_shape) {
  (void)type;
  Runner *runner = (Runner *)(intptr_t)handle;
  Handle tensor, requirements, given = NULL, made = NULL;
  TensorType given_type, made_type;
  const char *name;
  jarray output = NULL;
  const size_t signature = (size_t)index;
  if (!find_type(env, runner, signature, true, &tensor, &name, &given_type) ||
      !find_type(env, runner, signature, false, &tensor, &name, &made_type))
    return NULL;
  (*env)->GetIntArrayRegion(env, input_shape, 0, (jsize)given_type.layout.rank,
                            (jint *)given_type.layout.dimensions);
  if (resize && !CALL(CompiledModelResizeInputTensorNonStrict, runner->compiled, signature, 0,
                      given_type.layout.dimensions, given_type.layout.rank))
    return NULL;
  if (CALL(GetCompiledModelOutputTensorLayouts, runner->compiled, signature, 1, &made_type.layout,
           true) &&
      CALL(GetCompiledModelInputBufferRequirements, runner->compiled, signature, 0,
           &requirements) &&
      CALL(CreateManagedTensorBufferFromRequirements, lite_rt.environment, &given_type,
           requirements, &given) &&
      CALL(GetCompiledModelOutputBufferRequirements, runner->compiled, signature, 0,
           &requirements) &&
      CALL(CreateManagedTensorBufferFromRequirements, lite_rt.environment, &made_type,
           requirements, &made) &&
      copy(env, input, &given_type, given, true) &&
      CALL(RunCompiledModel, runner->compiled, signature, 1, &given, 1, &made)) {
    jsize count = (jsize)element_count(&made_type.layout);
    output = made_type.element_type == INT8 ? (jarray)(*env)->NewByteArray(env, count)
                                            : (jarray)(*env)->NewFloatArray(env, count);
    if (output != NULL && copy(env, output, &made_type, made, false))
      (*env)->SetIntArrayRegion(env, output_shape, 0, (jsize)made_type.layout.rank,
                                (const jint *)made_type.layout.dimensions);
  }
  if (given != NULL) lite_rt.DestroyTensorBuffer(given);
  if (made != NULL) lite_rt.DestroyTensorBuffer(made);
  return output;
}
