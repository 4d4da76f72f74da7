/* A test double of libnvidia-ml.so.1: the calls that the GPU exporter makes, and no more.
 *
 * What it answers lies in the file $FAKE_NVML_STATE, mapped into memory and shared with
 * the test, which changes it at any time (State in tests/integration/gpu/conftest.py has
 * the same layout). Without that file there is no driver.
 *
 * gcc -shared -fPIC -Wall -Wextra -Werror -Wl,-soname,libnvidia-ml.so.1 -o libnvidia-ml.so.1 fakenvml.c
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SUCCESS = 0, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, DRIVER_NOT_LOADED = 9, FUNCTION_NOT_FOUND = 13 };
enum { UTILIZATION = 1, MEMORY_V2 = 2, TEMPERATURE = 4, POWER = 8, POWER_LIMIT = 16, ENERGY = 32, CLOCKS = 64, PEAKS = 128 };

typedef struct {
    char name[64], uuid[64];
    uint64_t memory_total, memory_used, memory_reserved, energy_mj;
    uint32_t utilization_percent, temperature, power_mw, power_limit_mw, sm_mhz, memory_mhz;
    uint32_t offered;    /* which of the above this model has */
    uint32_t error;      /* what every call answers ... */
    uint32_t fail_after; /* ... once so many more have gone well */
    uint32_t bus_bits, cores, major, minor, unused;
} Gpu;

typedef struct {
    uint32_t count, init_error;
    Gpu gpus[8];
} State;

static State *state;

static int look(Gpu *gpu) {
    if (!gpu->error) return SUCCESS;
    if (gpu->fail_after == 0) return (int)gpu->error;
    gpu->fail_after--;
    return SUCCESS;
}

static int give(Gpu *gpu, uint32_t feature, uint32_t value, uint32_t *out) {
    int failed = look(gpu);
    if (failed) return failed;
    if (!(gpu->offered & feature)) return NOT_SUPPORTED;
    *out = value;
    return SUCCESS;
}

static int give_text(Gpu *gpu, const char *text, char *out, uint32_t size) {
    int failed = look(gpu);
    if (failed) return failed;
    snprintf(out, size, "%s", text);
    return SUCCESS;
}

int nvmlInitWithFlags(uint32_t flags) {
    (void)flags;
    const char *path = getenv("FAKE_NVML_STATE");
    int file = path ? open(path, O_RDWR) : -1;
    if (file < 0) return DRIVER_NOT_LOADED;
    state = mmap(NULL, sizeof(State), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    return state == MAP_FAILED ? DRIVER_NOT_LOADED : (int)state->init_error;
}

int nvmlShutdown(void) { return SUCCESS; }

const char *nvmlErrorString(int error) {
    switch (error) {
        case DRIVER_NOT_LOADED: return "Driver Not Loaded";
        case 15: return "GPU is lost";
        default: return "Unknown Error";
    }
}

int nvmlSystemGetDriverVersion(char *out, uint32_t size) {
    snprintf(out, size, "550.163.01");
    return SUCCESS;
}

int nvmlDeviceGetCount_v2(uint32_t *out) {
    *out = state->count;
    return SUCCESS;
}

int nvmlDeviceGetHandleByIndex_v2(uint32_t index, Gpu **out) {
    if (index >= state->count) return INVALID_ARGUMENT;
    *out = &state->gpus[index];
    return look(*out);
}

int nvmlDeviceGetName(Gpu *gpu, char *out, uint32_t size) { return give_text(gpu, gpu->name, out, size); }
int nvmlDeviceGetUUID(Gpu *gpu, char *out, uint32_t size) { return give_text(gpu, gpu->uuid, out, size); }

int nvmlDeviceGetUtilizationRates(Gpu *gpu, uint32_t out[2]) {
    out[1] = 0;
    return give(gpu, UTILIZATION, gpu->utilization_percent, &out[0]);
}

typedef struct { uint64_t total, free, used; } Memory;
typedef struct { uint32_t version; uint64_t total, reserved, free, used; } Memory_v2;

/* Version 1 counts what the driver keeps for itself as used, version 2 does not. */
int nvmlDeviceGetMemoryInfo(Gpu *gpu, Memory *out) {
    out->total = gpu->memory_total;
    out->used = gpu->memory_used + gpu->memory_reserved;
    out->free = out->total - out->used;
    return look(gpu);
}

int nvmlDeviceGetMemoryInfo_v2(Gpu *gpu, Memory_v2 *out) {
    if (!(gpu->offered & MEMORY_V2)) return FUNCTION_NOT_FOUND;
    out->total = gpu->memory_total;
    out->reserved = gpu->memory_reserved;
    out->used = gpu->memory_used;
    out->free = out->total - out->reserved - out->used;
    return look(gpu);
}

int nvmlDeviceGetTemperature(Gpu *gpu, uint32_t sensor, uint32_t *out) {
    return sensor ? INVALID_ARGUMENT : give(gpu, TEMPERATURE, gpu->temperature, out);
}

int nvmlDeviceGetPowerUsage(Gpu *gpu, uint32_t *out) { return give(gpu, POWER, gpu->power_mw, out); }
int nvmlDeviceGetEnforcedPowerLimit(Gpu *gpu, uint32_t *out) {
    return give(gpu, POWER_LIMIT, gpu->power_limit_mw, out);
}

int nvmlDeviceGetTotalEnergyConsumption(Gpu *gpu, uint64_t *out) {
    uint32_t ignored;
    *out = gpu->energy_mj;
    return give(gpu, ENERGY, 0, &ignored);
}

int nvmlDeviceGetClockInfo(Gpu *gpu, uint32_t clock, uint32_t *out) {
    return give(gpu, CLOCKS, clock == 1 ? gpu->sm_mhz : gpu->memory_mhz, out);
}

int nvmlDeviceGetMaxClockInfo(Gpu *gpu, uint32_t clock, uint32_t *out) {
    return give(gpu, PEAKS, clock == 1 ? gpu->sm_mhz : gpu->memory_mhz, out);
}

int nvmlDeviceGetMemoryBusWidth(Gpu *gpu, uint32_t *out) { return give(gpu, PEAKS, gpu->bus_bits, out); }
int nvmlDeviceGetNumGpuCores(Gpu *gpu, uint32_t *out) { return give(gpu, PEAKS, gpu->cores, out); }

int nvmlDeviceGetCudaComputeCapability(Gpu *gpu, int *major, int *minor) {
    *major = (int)gpu->major;
    *minor = (int)gpu->minor;
    return look(gpu);
}
