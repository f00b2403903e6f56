/* A TCG plugin for qemu-user that counts guest instructions between two marks.
 *
 * A program marks a region with the system call getpgid(MARK + 2 * region) where it begins and
 * getpgid(MARK + 2 * region + 1) where it ends; the kernel answers that there is no such
 * process, so the same program runs unharmed without this plugin, and on any machine. At each
 * end a row of JSON goes to the file that the setting `out` names:
 *
 *     {"region": 3, "instructions": 1234567, "mnemonics": {"sdot": 4096, "ldr": 2048}}
 *
 * QEMU translates a program in blocks that run from their first to their last instruction, so it
 * is enough to count how often each block runs. What a block consists of is looked at once, when
 * it is translated. Counts are exact but for blocks that a signal interrupts.
 *
 * Written for version 1 of the plugin interface, which QEMU has up to 8.2. Its header belongs to
 * QEMU's sources and no package has it, so what is used of it is declared here.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum qemu_plugin_cb_flags { QEMU_PLUGIN_CB_NO_REGS };

#define EXPORT __attribute__((visibility("default")))
EXPORT int qemu_plugin_version = 1;

typedef void (*translated_cb)(qemu_plugin_id_t, struct qemu_plugin_tb *);
typedef void (*executed_cb)(unsigned int vcpu, void *data);
typedef void (*syscall_cb)(qemu_plugin_id_t, unsigned int vcpu, int64_t number, uint64_t, uint64_t,
                           uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, translated_cb);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, executed_cb,
                                          enum qemu_plugin_cb_flags, void *data);
void qemu_plugin_register_vcpu_syscall_cb(qemu_plugin_id_t, syscall_cb);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *);
char *qemu_plugin_insn_disas(const struct qemu_plugin_insn *);

enum {
    AARCH64_GETPGID = 155,
    MARK = 0x0ED60000,
    MARK_BITS = 0xFFFF,
    MOST_MNEMONICS = 4096,
};

struct block {
    struct block *next;
    uint64_t executions;
    uint64_t executions_before; /* when the region began */
    size_t length;
    uint16_t mnemonics[]; /* indices into the table of names, one an instruction */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct block *blocks;
static char names[MOST_MNEMONICS][16];
static size_t name_count;
static FILE *out;

/* Index of the first word of a disassembled instruction. */
static uint16_t mnemonic_index(const char *text) {
    char name[sizeof names[0]];
    size_t length = strcspn(text, " \t");
    if (length >= sizeof name)
        length = sizeof name - 1;
    memcpy(name, text, length);
    name[length] = '\0';
    for (size_t i = 0; i < name_count; i++)
        if (strcmp(names[i], name) == 0)
            return (uint16_t)i;
    if (name_count == MOST_MNEMONICS)
        return MOST_MNEMONICS - 1;
    memcpy(names[name_count], name, sizeof name);
    return (uint16_t)name_count++;
}

/* The disassembler of QEMU 7 knows ARMv8.1; of what came later, these are what a quantized
 * network is computed with. */
static const char *newer_mnemonic(const struct qemu_plugin_insn *instruction) {
    static const struct {
        uint32_t mask, bits;
        const char *name;
    } known[] = {
        {0xbfe0fc00, 0x0e809400, "sdot"}, {0xbfc0f400, 0x0f80e000, "sdot"},
        {0xbfe0fc00, 0x2e809400, "udot"}, {0xbfc0f400, 0x2f80e000, "udot"},
        {0xffe0fc00, 0x4e80a400, "smmla"}, {0xbf60fc00, 0x0e400c00, "fmla.h"},
    };
    uint32_t word;
    if (qemu_plugin_insn_size(instruction) == sizeof word) {
        memcpy(&word, qemu_plugin_insn_data(instruction), sizeof word);
        for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
            if ((word & known[i].mask) == known[i].bits)
                return known[i].name;
    }
    return "unknown";
}

static void executed(unsigned int vcpu, void *data) {
    (void)vcpu;
    __atomic_fetch_add(&((struct block *)data)->executions, 1, __ATOMIC_RELAXED);
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb) {
    (void)id;
    size_t length = qemu_plugin_tb_n_insns(tb);
    struct block *block = calloc(1, sizeof *block + length * sizeof block->mnemonics[0]);
    if (!block) {
        fputs("instruction_counter: out of memory\n", stderr);
        abort();
    }
    block->length = length;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < length; i++) {
        struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(tb, i);
        char *text = qemu_plugin_insn_disas(instruction);
        bool unknown = !text || text[0] == '\0' || text[0] == '.';
        block->mnemonics[i] = mnemonic_index(unknown ? newer_mnemonic(instruction) : text);
        free(text);
    }
    block->next = blocks;
    blocks = block;
    pthread_mutex_unlock(&lock);
    qemu_plugin_register_vcpu_tb_exec_cb(tb, executed, QEMU_PLUGIN_CB_NO_REGS, block);
}

static uint64_t executions(const struct block *block) {
    return __atomic_load_n(&block->executions, __ATOMIC_RELAXED);
}

static void begin_region(void) {
    for (struct block *block = blocks; block; block = block->next)
        block->executions_before = executions(block);
}

static void end_region(unsigned int region) {
    static uint64_t by_mnemonic[MOST_MNEMONICS];
    uint64_t total = 0;
    memset(by_mnemonic, 0, sizeof by_mnemonic);
    for (struct block *block = blocks; block; block = block->next) {
        uint64_t times = executions(block) - block->executions_before;
        if (times == 0)
            continue;
        total += times * block->length;
        for (size_t i = 0; i < block->length; i++)
            by_mnemonic[block->mnemonics[i]] += times;
    }
    fprintf(out, "{\"region\": %u, \"instructions\": %" PRIu64 ", \"mnemonics\": {", region, total);
    const char *separator = "";
    for (size_t i = 0; i < name_count; i++) {
        if (by_mnemonic[i] == 0)
            continue;
        fprintf(out, "%s\"%s\": %" PRIu64, separator, names[i], by_mnemonic[i]);
        separator = ", ";
    }
    fputs("}}\n", out);
    fflush(out);
}

static void system_call(qemu_plugin_id_t id, unsigned int vcpu, int64_t number, uint64_t process,
                        uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5, uint64_t a6,
                        uint64_t a7, uint64_t a8) {
    (void)id, (void)vcpu, (void)a2, (void)a3, (void)a4, (void)a5, (void)a6, (void)a7, (void)a8;
    if (number != AARCH64_GETPGID || (process & ~(uint64_t)MARK_BITS) != MARK)
        return;
    unsigned int mark = process & MARK_BITS;
    pthread_mutex_lock(&lock);
    if (mark % 2 == 0)
        begin_region();
    else
        end_region(mark / 2);
    pthread_mutex_unlock(&lock);
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv) {
    (void)info;
    for (int i = 0; i < argc; i++)
        if (strncmp(argv[i], "out=", 4) == 0)
            out = fopen(argv[i] + 4, "w");
    if (!out) {
        fputs("instruction_counter: the setting out=FILE is missing, or it can't be written\n",
              stderr);
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_vcpu_syscall_cb(id, system_call);
    return 0;
}
