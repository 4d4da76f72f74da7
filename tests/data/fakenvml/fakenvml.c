/* A test double of libnvidia-ml.so.1: the calls that our exporter and nvitop make, and no more.
 *
 * What it answers lies in the file $FAKE_NVML_STATE, mapped into memory and shared with
 * the test, which changes it at any time (State in tests/fakenvml.py has the same layout).
 * Without that file there is no driver.
 *
 * A figure is its base and a wave; energy and bytes are the exact integrals of power and
 * rates since `since` (0: the clock of that GPU stands still, and nothing is integrated).
 *
 * gcc -shared -fPIC -Wall -Wextra -Werror -Wl,-soname,libnvidia-ml.so.1 -o libnvidia-ml.so.1 fakenvml.c -lm
 */
#include <fcntl.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

typedef uint32_t u32;
typedef uint64_t u64;

enum {
    SUCCESS = 0, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7,
    DRIVER_NOT_LOADED = 9, TIMEOUT = 10, FUNCTION_NOT_FOUND = 13
};
enum {
    UTILIZATION = 1, MEMORY_V2 = 2, TEMPERATURE = 4, POWER = 8, POWER_LIMIT = 16, ENERGY = 32,
    CLOCKS = 64, PEAKS = 128, ECC = 256, NVLINK = 512, PCIE_COUNTERS = 1024, PROCESSES = 2048,
    REASONS = 4096, MEMORY_TEMPERATURE = 8192, MIG = 16384, FAN = 32768, EVENTS = 65536,
    FIELDS = 131072
};
enum { CONSTANT, SINE, SQUARE, SAW };
enum { W_UTILIZATION, W_MEMORY, W_POWER, W_TEMPERATURE, W_SM, W_CLOCK, W_PCIE_OUT, W_PCIE_IN, W_LINK_OUT, W_LINK_IN, WAVES };
enum { MAX_GPUS = 8, MAX_PROCESSES = 8, MAX_SLICES = 4, MAX_SYMBOLS = 96, MAX_FAULTS = 4 };

typedef struct { double amplitude, period, phase; u32 kind, unused; } Wave;
typedef struct { u32 pid, graphics; u64 memory; } Process;
typedef struct { char uuid[64]; u64 memory_total, memory_used; u32 instance, parent; } Slice;

typedef struct {
    char name[64], uuid[64];
    u64 memory_total, memory_used, memory_reserved, energy_mj;
    u32 utilization_percent, temperature, power_mw, power_limit_mw, sm_mhz, memory_mhz;
    u32 offered;    /* which of the features above this model has */
    u32 error;      /* what every call answers ... */
    u32 fail_after; /* ... once so many more have gone well */
    u32 bus_bits, cores, major, minor;
    u32 delay_us;   /* how long every call takes */
    u64 pcie_out, pcie_in, link_out, link_in; /* bytes per second */
    u64 ecc_corrected, ecc_uncorrected, reasons;
    u32 processes, slices, links, xid; /* xid: one that has not been told yet */
    double since;
    Wave waves[WAVES];
    Process process[MAX_PROCESSES];
    Slice slice[MAX_SLICES];
} Gpu;

typedef struct { char symbol[56]; u64 calls; } Count;
typedef struct { char symbol[56]; u32 gpu, error; } Fault;

typedef struct {
    u32 count, init_error;
    u32 manual_clock, faults;
    double now;      /* Unix seconds, where manual_clock is set */
    u32 pcie_block_us, unused;
    Fault fault[MAX_FAULTS];
    Count counts[MAX_SYMBOLS];
    Gpu gpus[MAX_GPUS];
} State;

const u32 fakenvml_sizes[] = {sizeof(State), sizeof(Gpu), sizeof(Wave), sizeof(Slice)};

static State *state;

/* ---- time, waves and their integrals ---- */

static double now(void) {
    if (state->manual_clock) return state->now;
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    return (double)at.tv_sec + 1e-9 * (double)at.tv_nsec;
}

static double elapsed(const Gpu *gpu) { return gpu->since ? now() - gpu->since : 0; }

static double place(const Wave *wave, double seconds) {
    double at = seconds / wave->period + wave->phase;
    return at - floor(at);
}

static double level(const Gpu *gpu, int which, double base) {
    const Wave *wave = &gpu->waves[which];
    if (wave->kind == CONSTANT) return base;
    double at = place(wave, elapsed(gpu));
    double shape = wave->kind == SINE ? sin(2 * M_PI * at) : wave->kind == SQUARE ? (at < 0.5 ? 1 : -1) : 2 * at - 1;
    return fmax(0, base + wave->amplitude * shape);
}

/* Integral of a wave's shape over its period, from its beginning to a place in it; whole periods add nothing. */
static double area(const Wave *wave, double at) {
    if (wave->kind == SINE) return (1 - cos(2 * M_PI * at)) / (2 * M_PI);
    if (wave->kind == SQUARE) return at < 0.5 ? at : 1 - at;
    return at * at - at;
}

static u64 grown(const Gpu *gpu, int which, double base) {
    const Wave *wave = &gpu->waves[which];
    double seconds = elapsed(gpu), total = base * seconds;
    if (wave->kind != CONSTANT)
        total += wave->amplitude * wave->period * (area(wave, place(wave, seconds)) - area(wave, place(wave, 0)));
    return (u64)total;
}

/* ---- every call: counted, delayed, failed ---- */

static void count(const char *symbol) {
    for (int i = 0; i < MAX_SYMBOLS; i++) {
        Count *one = &state->counts[i];
        if (!one->symbol[0]) snprintf(one->symbol, sizeof one->symbol, "%s", symbol);
        if (!strcmp(one->symbol, symbol)) {
            __atomic_fetch_add(&one->calls, 1, __ATOMIC_RELAXED);
            return;
        }
    }
}

static int is_slice(const void *handle) {
    for (u32 i = 0; i < state->count; i++)
        for (u32 j = 0; j < state->gpus[i].slices; j++)
            if (handle == &state->gpus[i].slice[j]) return 1;
    return 0;
}

static Gpu *board(void *handle) {
    return is_slice(handle) ? &state->gpus[((Slice *)handle)->parent] : (Gpu *)handle;
}

static int look(void *handle, const char *symbol) {
    Gpu *gpu = board(handle);
    count(symbol);
    if (gpu->delay_us) usleep(gpu->delay_us);
    for (u32 i = 0; i < state->faults; i++)
        if (!strcmp(state->fault[i].symbol, symbol) && state->fault[i].gpu == (u32)(gpu - state->gpus))
            return (int)state->fault[i].error;
    if (!gpu->error) return SUCCESS;
    if (gpu->fail_after == 0) return (int)gpu->error;
    gpu->fail_after--;
    return SUCCESS;
}

#define API __attribute__((visibility("default"))) int
#define LOOK(handle) do { int failed = look(handle, __func__); if (failed) return failed; } while (0)
#define NEED(handle, feature) do { LOOK(handle); if (is_slice(handle) || !(board(handle)->offered & (feature))) return NOT_SUPPORTED; } while (0)
#define FIGURE(call, feature, value) API call(Gpu *gpu, u32 *out) { NEED(gpu, feature); *out = (u32)(value); return SUCCESS; }
#define UNSUPPORTED(call) API call(Gpu *gpu) { LOOK(gpu); return NOT_SUPPORTED; }

static int text(const char *value, char *out, u32 size) {
    snprintf(out, size, "%s", value);
    return SUCCESS;
}

/* ---- the library and the system ---- */

API nvmlInitWithFlags(u32 flags) {
    (void)flags;
    const char *path = getenv("FAKE_NVML_STATE");
    int file = path ? open(path, O_RDWR) : -1;
    if (file < 0) return DRIVER_NOT_LOADED;
    state = mmap(NULL, sizeof(State), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    return state == MAP_FAILED ? DRIVER_NOT_LOADED : (int)state->init_error;
}
API nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
API nvmlShutdown(void) { return SUCCESS; }

const char *nvmlErrorString(int error) {
    switch (error) {
        case NOT_SUPPORTED: return "Not Supported";
        case DRIVER_NOT_LOADED: return "Driver Not Loaded";
        case TIMEOUT: return "Timeout";
        case 15: return "GPU is lost";
        default: return "Unknown Error";
    }
}

API nvmlSystemGetDriverVersion(char *out, u32 size) { return text("550.163.01", out, size); }
API nvmlSystemGetNVMLVersion(char *out, u32 size) { return text("12.550.163.01", out, size); }
API nvmlSystemGetCudaDriverVersion(int *out) { *out = 12040; return SUCCESS; }
API nvmlSystemGetCudaDriverVersion_v2(int *out) { *out = 12040; return SUCCESS; }
API nvmlDeviceGetCount_v2(u32 *out) { *out = state->count; return SUCCESS; }

API nvmlDeviceGetHandleByIndex_v2(u32 index, Gpu **out) {
    if (index >= state->count) return INVALID_ARGUMENT;
    *out = &state->gpus[index];
    return look(*out, __func__);
}

/* ---- what a GPU is ---- */

API nvmlDeviceGetIndex(Gpu *gpu, u32 *out) { LOOK(gpu); *out = (u32)(board(gpu) - state->gpus); return SUCCESS; }
API nvmlDeviceGetMinorNumber(Gpu *gpu, u32 *out) { LOOK(gpu); *out = (u32)(board(gpu) - state->gpus); return SUCCESS; }

API nvmlDeviceGetName(void *handle, char *out, u32 size) {
    LOOK(handle);
    if (!is_slice(handle)) return text(((Gpu *)handle)->name, out, size);
    snprintf(out, size, "%s MIG %ug.%ugb", board(handle)->name, 1u, (u32)(((Slice *)handle)->memory_total >> 30));
    return SUCCESS;
}
API nvmlDeviceGetUUID(void *handle, char *out, u32 size) {
    LOOK(handle);
    return text(is_slice(handle) ? ((Slice *)handle)->uuid : ((Gpu *)handle)->uuid, out, size);
}

typedef struct { char legacy[16]; u32 domain, bus, device, id, subsystem; char bus_id[32]; } Pci;
API nvmlDeviceGetPciInfo_v3(Gpu *gpu, Pci *out) {
    LOOK(gpu);
    memset(out, 0, sizeof *out);
    out->bus = (u32)(board(gpu) - state->gpus) + 1;
    out->id = 0x233010de;
    snprintf(out->legacy, sizeof out->legacy, "0000:%02X:00.0", out->bus & 255);
    snprintf(out->bus_id, sizeof out->bus_id, "00000000:%02X:00.0", out->bus & 255);
    return SUCCESS;
}
API nvmlDeviceGetCudaComputeCapability(Gpu *gpu, int *major, int *minor) {
    LOOK(gpu);
    *major = (int)gpu->major;
    *minor = (int)gpu->minor;
    return SUCCESS;
}
FIGURE(nvmlDeviceGetMemoryBusWidth, PEAKS, gpu->bus_bits)
FIGURE(nvmlDeviceGetNumGpuCores, PEAKS, gpu->cores)
API nvmlDeviceGetMaxClockInfo(Gpu *gpu, u32 clock, u32 *out) {
    NEED(gpu, PEAKS);
    *out = clock == 1 ? gpu->sm_mhz : gpu->memory_mhz;
    return SUCCESS;
}

/* ---- MIG: slices of a GPU have memory and processes of their own, and no other figure ---- */

API nvmlDeviceGetMigMode(Gpu *gpu, u32 *current, u32 *pending) {
    NEED(gpu, MIG);
    *current = *pending = gpu->slices > 0;
    return SUCCESS;
}
API nvmlDeviceGetMaxMigDeviceCount(Gpu *gpu, u32 *out) {
    LOOK(gpu);
    *out = gpu->offered & MIG ? MAX_SLICES : 0;
    return SUCCESS;
}
API nvmlDeviceGetMigDeviceHandleByIndex(Gpu *gpu, u32 index, Slice **out) {
    NEED(gpu, MIG);
    if (index >= gpu->slices) return NOT_FOUND;
    *out = &gpu->slice[index];
    return SUCCESS;
}
API nvmlDeviceIsMigDeviceHandle(void *handle, u32 *out) { LOOK(handle); *out = (u32)is_slice(handle); return SUCCESS; }
API nvmlDeviceGetDeviceHandleFromMigDeviceHandle(void *handle, Gpu **out) { LOOK(handle); *out = board(handle); return SUCCESS; }
API nvmlDeviceGetGpuInstanceId(void *handle, u32 *out) {
    LOOK(handle);
    if (!is_slice(handle)) return NOT_SUPPORTED;
    *out = ((Slice *)handle)->instance;
    return SUCCESS;
}

/* ---- figures of the moment ---- */

typedef struct { u64 total, free, used; } Memory;
typedef struct { u32 version; u64 total, reserved, free, used; } Memory_v2;

static u64 memory_used(Gpu *gpu) { return (u64)level(gpu, W_MEMORY, (double)gpu->memory_used); }

/* Version 1 counts what the driver keeps for itself as used, version 2 does not. */
API nvmlDeviceGetMemoryInfo(void *handle, Memory *out) {
    LOOK(handle);
    Gpu *gpu = board(handle);
    Slice *slice = is_slice(handle) ? handle : NULL;
    out->total = slice ? slice->memory_total : gpu->memory_total;
    out->used = slice ? slice->memory_used : memory_used(gpu) + gpu->memory_reserved;
    out->free = out->total - out->used;
    return SUCCESS;
}
API nvmlDeviceGetMemoryInfo_v2(void *handle, Memory_v2 *out) {
    LOOK(handle);
    Gpu *gpu = board(handle);
    if (!(gpu->offered & MEMORY_V2)) return FUNCTION_NOT_FOUND;
    Slice *slice = is_slice(handle) ? handle : NULL;
    out->total = slice ? slice->memory_total : gpu->memory_total;
    out->reserved = slice ? 0 : gpu->memory_reserved;
    out->used = slice ? slice->memory_used : memory_used(gpu);
    out->free = out->total - out->reserved - out->used;
    return SUCCESS;
}
API nvmlDeviceGetUtilizationRates(Gpu *gpu, u32 out[2]) {
    NEED(gpu, UTILIZATION);
    out[0] = (u32)fmin(100, level(gpu, W_UTILIZATION, gpu->utilization_percent));
    out[1] = out[0] / 2;
    return SUCCESS;
}
API nvmlDeviceGetTemperature(Gpu *gpu, u32 sensor, u32 *out) {
    NEED(gpu, TEMPERATURE);
    *out = (u32)level(gpu, W_TEMPERATURE, gpu->temperature);
    return sensor ? INVALID_ARGUMENT : SUCCESS;
}
typedef struct { u32 version, sensor; int celsius; } Temperature;
API nvmlDeviceGetTemperatureV(Gpu *gpu, Temperature *out) {
    NEED(gpu, TEMPERATURE);
    out->celsius = (int)level(gpu, W_TEMPERATURE, gpu->temperature);
    return SUCCESS;
}
FIGURE(nvmlDeviceGetPowerUsage, POWER, level(gpu, W_POWER, gpu->power_mw))
FIGURE(nvmlDeviceGetEnforcedPowerLimit, POWER_LIMIT, gpu->power_limit_mw)
FIGURE(nvmlDeviceGetPowerManagementLimit, POWER_LIMIT, gpu->power_limit_mw)
FIGURE(nvmlDeviceGetFanSpeed, FAN, 40)
FIGURE(nvmlDeviceGetPcieReplayCounter, PCIE_COUNTERS, 0)
FIGURE(nvmlDeviceGetPerformanceState, UTILIZATION, 0)
API nvmlDeviceGetClockInfo(Gpu *gpu, u32 clock, u32 *out) {
    NEED(gpu, CLOCKS);
    *out = (u32)(clock == 2 ? level(gpu, W_CLOCK, gpu->memory_mhz) : level(gpu, W_SM, gpu->sm_mhz));
    return SUCCESS;
}
API nvmlDeviceGetCurrentClocksEventReasons(Gpu *gpu, u64 *out) { NEED(gpu, REASONS); *out = gpu->reasons; return SUCCESS; }
API nvmlDeviceGetCurrentClocksThrottleReasons(Gpu *gpu, u64 *out) { NEED(gpu, REASONS); *out = gpu->reasons; return SUCCESS; }
API nvmlDeviceGetTotalEccErrors(Gpu *gpu, u32 kind, u32 counter, u64 *out) {
    (void)counter;
    NEED(gpu, ECC);
    *out = kind ? gpu->ecc_uncorrected : gpu->ecc_corrected;
    return SUCCESS;
}
/* The real one watches the bus for 20 ms. */
API nvmlDeviceGetPcieThroughput(Gpu *gpu, u32 counter, u32 *out) {
    LOOK(gpu);
    usleep(state->pcie_block_us);
    *out = (u32)(counter ? gpu->pcie_in : gpu->pcie_out) / 1024;
    return SUCCESS;
}

/* ---- counters ---- */

static u64 energy(Gpu *gpu) { return gpu->energy_mj + grown(gpu, W_POWER, gpu->power_mw); }
API nvmlDeviceGetTotalEnergyConsumption(Gpu *gpu, u64 *out) { NEED(gpu, ENERGY); *out = energy(gpu); return SUCCESS; }

typedef struct { u32 id, scope; int64_t at, latency; u32 type; int result; union { double d; u32 u; u64 ull; } value; } Field;
enum { OF_MEMORY_TEMPERATURE = 82, OF_ENERGY = 83, OF_LINKS = 91, OF_LINK_OUT = 138, OF_LINK_IN = 139, OF_PCIE_OUT = 197, OF_PCIE_IN = 198 };
static const u32 ALL_LINKS = UINT32_MAX;

static int field(Gpu *gpu, Field *out) {
    u64 link = out->scope == ALL_LINKS ? gpu->links : out->scope < gpu->links;
    out->type = 3; /* unsigned long long */
    switch (out->id) {
        case OF_MEMORY_TEMPERATURE:
            out->type = 1; /* unsigned int */
            out->value.u = gpu->temperature + 10;
            return gpu->offered & MEMORY_TEMPERATURE ? SUCCESS : NOT_SUPPORTED;
        case OF_ENERGY:
            out->value.ull = energy(gpu);
            return gpu->offered & ENERGY ? SUCCESS : NOT_SUPPORTED;
        case OF_LINKS:
            out->type = 1;
            out->value.u = gpu->links;
            return gpu->offered & NVLINK ? SUCCESS : NOT_SUPPORTED;
        case OF_LINK_OUT: /* KiB */
            out->value.ull = link * grown(gpu, W_LINK_OUT, (double)gpu->link_out) / 1024;
            return gpu->offered & NVLINK ? SUCCESS : NOT_SUPPORTED;
        case OF_LINK_IN:
            out->value.ull = link * grown(gpu, W_LINK_IN, (double)gpu->link_in) / 1024;
            return gpu->offered & NVLINK ? SUCCESS : NOT_SUPPORTED;
        case OF_PCIE_OUT: /* bytes */
            out->value.ull = grown(gpu, W_PCIE_OUT, (double)gpu->pcie_out);
            return gpu->offered & PCIE_COUNTERS ? SUCCESS : NOT_SUPPORTED;
        case OF_PCIE_IN:
            out->value.ull = grown(gpu, W_PCIE_IN, (double)gpu->pcie_in);
            return gpu->offered & PCIE_COUNTERS ? SUCCESS : NOT_SUPPORTED;
        default: return NOT_SUPPORTED;
    }
}
API nvmlDeviceGetFieldValues(Gpu *gpu, int number, Field *fields) {
    NEED(gpu, FIELDS);
    for (int i = 0; i < number; i++) fields[i].result = field(gpu, &fields[i]);
    return SUCCESS;
}

/* ---- processes ---- */

typedef struct { u32 pid; u64 memory; u32 gpu_instance, compute_instance; } Running;
static int running(void *handle, u32 graphics, u32 *size, Running *out) {
    Gpu *gpu = board(handle);
    if (!(gpu->offered & PROCESSES)) return NOT_SUPPORTED;
    u32 found = 0;
    for (u32 i = 0; i < gpu->processes; i++) {
        if (gpu->process[i].graphics != graphics) continue;
        if (found < *size) out[found] = (Running){gpu->process[i].pid, gpu->process[i].memory, ~0u, ~0u};
        found++;
    }
    int fits = found <= *size;
    *size = found;
    return fits ? SUCCESS : INSUFFICIENT_SIZE;
}
API nvmlDeviceGetComputeRunningProcesses_v3(Gpu *gpu, u32 *size, Running *out) { LOOK(gpu); return running(gpu, 0, size, out); }
API nvmlDeviceGetGraphicsRunningProcesses_v3(Gpu *gpu, u32 *size, Running *out) { LOOK(gpu); return running(gpu, 1, size, out); }
API nvmlDeviceGetProcessUtilization(Gpu *gpu, void *out, u32 *size, u64 since) {
    (void)out, (void)since;
    LOOK(gpu);
    *size = 0;
    return NOT_FOUND;
}

/* ---- events: an XID is told once ---- */

typedef struct { Gpu *gpu; u64 type, data; u32 gpu_instance, compute_instance; } Event;
API nvmlEventSetCreate(void **out) { *out = state; return SUCCESS; }
API nvmlEventSetFree(void *set) { (void)set; return SUCCESS; }
API nvmlDeviceRegisterEvents(Gpu *gpu, u64 types, void *set) { (void)types, (void)set; NEED(gpu, EVENTS); return SUCCESS; }
API nvmlEventSetWait_v2(void *set, Event *out, u32 milliseconds) {
    (void)set, (void)milliseconds;
    count(__func__);
    for (u32 i = 0; i < state->count; i++) {
        Gpu *gpu = &state->gpus[i];
        u32 xid = __atomic_exchange_n(&gpu->xid, 0, __ATOMIC_RELAXED);
        if (!xid) continue;
        *out = (Event){gpu, 8, xid, ~0u, ~0u};
        return SUCCESS;
    }
    return TIMEOUT;
}

/* ---- what other readers ask for, and these GPUs lack ---- */

UNSUPPORTED(nvmlDeviceGetEncoderUtilization)
UNSUPPORTED(nvmlDeviceGetDecoderUtilization)
UNSUPPORTED(nvmlDeviceGetDisplayActive)
UNSUPPORTED(nvmlDeviceGetDriverModel)
UNSUPPORTED(nvmlDeviceGetDriverModel_v2)
UNSUPPORTED(nvmlDeviceGetPersistenceMode)
UNSUPPORTED(nvmlDeviceGetComputeMode)
UNSUPPORTED(nvmlDeviceGetBAR1MemoryInfo)
UNSUPPORTED(nvmlDeviceGetNvLinkState)
