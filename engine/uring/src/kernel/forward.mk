# Compiles the program. An object is in the repository, so that building the engine takes no clang.
OBJECT ?= forward.o
HEADERS := $(firstword $(wildcard /usr/include/$(shell uname -m)-linux-gnu /usr/include))

$(OBJECT): forward.c
	clang -O2 -Wall -Wextra -Werror -target bpfel -mcpu=v3 -idirafter $(HEADERS) -c $< -o $@
