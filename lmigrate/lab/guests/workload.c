/* The workload of the linux guest: counts in memory, dirties memory, writes and reads back blocks of every disk.
 *
 *   workload RATE_HZ DIRTY_MIB DIRTY_MIB_PER_S FILL_MIB POWEROFF_AT
 *
 * One line for each count, on the first serial port:
 *   tick n=.. boot=.. ok|BAD bad=.. pages=.. mono=<CLOCK_MONOTONIC> real=<CLOCK_REALTIME> blocks=<written> disks=<n>
 * The first half of a disk is only read: a block must stay as it was found. In the second half blocks are written
 * and, later, read back. All of it past the page cache, so that what is read is what the host's disk holds now.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/reboot.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096
#define WORDS (PAGE / sizeof(uint64_t))
#define STEP UINT64_C(0x9e3779b97f4a7c15)
#define DISKS_MAX 16
#define BLOCKS_MAX 65536 /* of a half: 256 MiB; larger disks are used up to there */

struct disk {
    int fd;
    uint64_t half;          /* blocks in each half */
    uint64_t found[1024];   /* digests of blocks of the first half, evenly spread */
    uint64_t found_count;
    uint64_t *written;      /* the count with which a block of the second half was written; 0: not yet */
};

static struct disk disks[DISKS_MAX];
static int disk_count;
static uint64_t bad, dirtied, blocks;
static uint64_t *block;     /* one, aligned for direct access */

static uint64_t seed(uint64_t place, uint64_t pass) { return place * UINT64_C(0xff51afd7ed558ccd) ^ pass * 0x2545f491; }

static void write_words(uint64_t *words, uint64_t value)
{
    for (size_t i = 0; i < WORDS; i++, value += STEP)
        words[i] = value;
}

static void verify_words(const uint64_t *words, uint64_t value)
{
    for (size_t i = 0; i < WORDS; i++, value += STEP)
        if (words[i] != value) {
            bad++;
            return;
        }
}

static uint64_t digest(const uint64_t *words)
{
    uint64_t value = 1469598103934665603u;
    for (size_t i = 0; i < WORDS; i++)
        value = (value ^ words[i]) * 1099511628211u;
    return value;
}

static double now_s(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec + now.tv_nsec / 1e9;
}

/* Read a block; on an error it counts as bad and reads as zeroes. */
static void read_block(struct disk *disk, uint64_t place)
{
    if (pread(disk->fd, block, PAGE, place * PAGE) != PAGE) {
        bad++;
        memset(block, 0, PAGE);
    }
}

static uint64_t found_place(const struct disk *disk, uint64_t i) { return i * disk->half / disk->found_count; }

static void open_disks(void)
{
    for (int i = 0; i < DISKS_MAX; i++) {
        char path[] = "/dev/vda";
        uint64_t bytes = 0;
        struct disk *disk = &disks[disk_count];
        path[7] += i;
        disk->fd = open(path, O_RDWR | O_DIRECT | O_DSYNC);
        if (disk->fd < 0 || ioctl(disk->fd, BLKGETSIZE64, &bytes) != 0 || bytes < 2 * PAGE)
            continue;
        disk->half = bytes / PAGE / 2 < BLOCKS_MAX ? bytes / PAGE / 2 : BLOCKS_MAX;
        disk->written = calloc(disk->half, sizeof(uint64_t));
        disk->found_count = disk->half < 1024 ? disk->half : 1024;
        for (uint64_t k = 0; k < disk->found_count; k++) {
            read_block(disk, found_place(disk, k));
            disk->found[k] = digest(block);
        }
        disk_count++;
    }
}

static void use_disk(uint64_t number, uint64_t count)
{
    struct disk *disk = &disks[number];
    uint64_t place = count % disk->half, earlier = (count * 7919) % disk->half, k = count % disk->found_count;
    write_words(block, seed(place + (number << 32), count));
    if (pwrite(disk->fd, block, PAGE, (disk->half + place) * PAGE) == PAGE) {
        disk->written[place] = count;
        blocks++;
    } else
        bad++;
    if (disk->written[earlier]) {
        read_block(disk, disk->half + earlier);
        verify_words(block, seed(earlier + (number << 32), disk->written[earlier]));
    }
    read_block(disk, found_place(disk, k));
    if (digest(block) != disk->found[k])
        bad++;
}

static uint64_t *filled(uint64_t pages)
{
    uint64_t *region = mmap(NULL, (pages + 1) * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (uint64_t i = 0; i < pages; i++)
        write_words(region + i * WORDS, seed(i, 0));
    return region;
}

int main(int argc, char **argv)
{
    double rate_hz = argc > 1 ? atof(argv[1]) : 10, dirty_pages_per_s = argc > 3 ? atof(argv[3]) * 256 : 0, owed = 0;
    uint64_t dirty_pages = argc > 2 ? atoi(argv[2]) * 256 : 0, static_pages = 1 + (argc > 4 ? atoi(argv[4]) * 256 : 0);
    uint64_t poweroff_at = argc > 5 ? strtoull(argv[5], NULL, 10) : 0;
    uint64_t count = 0, next_dirty = 0, pass = 0, portions = 1, portion = 0;
    uint32_t boot = 0;
    struct termios raw;
    struct timespec wake;
    int out = open("/dev/ttyS0", O_WRONLY | O_NOCTTY);

    tcgetattr(out, &raw);
    cfmakeraw(&raw);
    cfsetspeed(&raw, B115200);
    tcsetattr(out, TCSANOW, &raw);
    block = aligned_alloc(PAGE, PAGE);
    getrandom(&boot, sizeof boot, 0);
    open_disks();
    uint64_t *constant = filled(static_pages), *dirty = filled(dirty_pages);
    if (dirty_pages_per_s > 0 && rate_hz < 100)
        portions = (uint64_t)(100 / rate_hz) + 1; /* the pages would come in waves otherwise */
    double interval_s = 1 / (rate_hz * portions);

    clock_gettime(CLOCK_MONOTONIC, &wake);
    for (;;) {
        wake.tv_nsec += (long)(interval_s * 1e9) % 1000000000;
        wake.tv_sec += (time_t)interval_s + wake.tv_nsec / 1000000000;
        wake.tv_nsec %= 1000000000;
        if (wake.tv_sec + wake.tv_nsec / 1e9 < now_s(CLOCK_MONOTONIC) - 4 * interval_s)
            clock_gettime(CLOCK_MONOTONIC, &wake); /* too slow: fall behind, never race to catch up */
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &wake, NULL);
        for (owed += dirty_pages ? dirty_pages_per_s * interval_s : 0; owed >= 1; owed--) {
            uint64_t *page = dirty + next_dirty * WORDS;
            verify_words(page, seed(next_dirty, pass));
            write_words(page, seed(next_dirty, pass + 1));
            dirtied++;
            if (++next_dirty == dirty_pages) {
                next_dirty = 0;
                pass++;
            }
        }
        if (++portion < portions)
            continue;
        portion = 0;
        count++;
        verify_words(constant, seed(0, 0));
        verify_words(constant + count % static_pages * WORDS, seed(count % static_pages, 0));
        for (int i = 0; i < disk_count; i++)
            use_disk(i, count);
        dprintf(out, "tick n=%" PRIu64 " boot=%08" PRIx32 " %s bad=%" PRIu64 " pages=%" PRIu64 " mono=%.6f real=%.6f blocks=%" PRIu64 " disks=%d\n",
                count, boot, bad ? "BAD" : "ok", bad, dirtied, now_s(CLOCK_MONOTONIC), now_s(CLOCK_REALTIME), blocks, disk_count);
        if (count == poweroff_at) {
            tcdrain(out);
            reboot(RB_POWER_OFF);
        }
    }
}
