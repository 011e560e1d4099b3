cc="${DEB_HOST_GNU_TYPE}-gcc"
$cc $CPPFLAGS $CFLAGS -fPIC -c greet.c -o greet.o
$cc $CFLAGS $LDFLAGS -shared -Wl,-soname,libreef-greet.so.1 greet.o -o libreef-greet.so.1
$cc $CPPFLAGS $CFLAGS $LDFLAGS hello.c libreef-greet.so.1 -o reef-hello
