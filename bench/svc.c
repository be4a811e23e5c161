/* svc SOCK ID: send "ID <CLOCK_MONOTONIC ns>" to the unix datagram socket SOCK, then sleep for good. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv) {
    struct timespec now;
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    char text[160];
    if (argc != 3) return 2;
    clock_gettime(CLOCK_MONOTONIC, &now);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    strncpy(to.sun_path, argv[1], sizeof to.sun_path - 1);
    snprintf(text, sizeof text, "%s %lld", argv[2], now.tv_sec * 1000000000LL + now.tv_nsec);
    if (sendto(fd, text, strlen(text), 0, (struct sockaddr *)&to, sizeof to) < 0) return 1;
    close(fd);
    for (;;) pause();
}
