/* A processor without AVX-512 and AMX, for every process that this library is loaded into before
   all others (LD_PRELOAD): see avx2_only.py.

   Linux makes the instruction CPUID fault on demand (arch_prctl(2), ARCH_SET_CPUID). The handler runs
   it and clears what shall not be seen. Each exec ends that, and loads the library anew. */
#define _GNU_SOURCE
#include <cpuid.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define ARCH_SET_CPUID 0x1012
#define NO_FAULTING 97 /* exit status where kernel or processor cannot do it */
#define BIT(n) (1u << (n))

/* Of leaf 7, Intel SDM volume 2A, table 3-8; "0" and "1" are its subleaves. */
#define EBX_0 (BIT(16) | BIT(17) | BIT(21) | BIT(26) | BIT(27) | BIT(28) | BIT(30) | BIT(31))
#define ECX_0 (BIT(1) | BIT(6) | BIT(11) | BIT(12) | BIT(14))
#define EDX_0 (BIT(2) | BIT(3) | BIT(8) | BIT(22) | BIT(23) | BIT(24) | BIT(25))
#define EAX_1 (BIT(4) | BIT(5) | BIT(21)) /* AVX-VNNI, AVX512-BF16, AMX-FP16 */
#define EDX_1 (BIT(4) | BIT(5) | BIT(8) | BIT(19)) /* AVX-VNNI-INT8, AVX-NE-CONVERT, AMX-COMPLEX, AVX10 */

/* Not through libc: errno belongs to whom was interrupted. */
static long let_cpuid(long allowed)
{
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "0"((long)SYS_arch_prctl), "D"((long)ARCH_SET_CPUID), "S"(allowed)
                     : "rcx", "r11", "memory");
    return result;
}

static void on_fault(int number, siginfo_t *info, void *context)
{
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    const uint8_t *code = (const uint8_t *)registers[REG_RIP];
    unsigned a, b, c, d;
    unsigned leaf = (unsigned)registers[REG_RAX], subleaf = (unsigned)registers[REG_RCX];

    (void)info;
    if (code[0] != 0x0f || code[1] != 0xa2) { /* another fault: let it end the process */
        signal(number, SIG_DFL);
        return;
    }
    let_cpuid(1);
    __cpuid_count(leaf, subleaf, a, b, c, d);
    let_cpuid(0);
    if (leaf == 7 && subleaf == 0) {
        b &= ~EBX_0;
        c &= ~ECX_0;
        d &= ~EDX_0;
    } else if (leaf == 7 && subleaf == 1) {
        a &= ~EAX_1;
        d &= ~EDX_1;
    }
    registers[REG_RAX] = a;
    registers[REG_RBX] = b;
    registers[REG_RCX] = c;
    registers[REG_RDX] = d;
    registers[REG_RIP] += 2;
}

__attribute__((constructor)) static void hide(void)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};

    sigemptyset(&action.sa_mask);
    sigaction(SIGSEGV, &action, NULL);
    if (let_cpuid(0) != 0) {
        fputs("avx2_only: this kernel or processor cannot hide what CPUID says\n", stderr);
        _exit(NO_FAULTING);
    }
}
