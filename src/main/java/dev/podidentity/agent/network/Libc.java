package dev.podidentity.agent.network;

import io.quarkus.runtime.ImageMode;
import org.graalvm.nativeimage.c.function.CFunction;
import org.graalvm.nativeimage.c.function.CFunction.Transition;
import org.graalvm.nativeimage.c.type.CIntPointer;
import org.graalvm.word.PointerBase;
import org.graalvm.word.SignedWord;
import org.graalvm.word.UnsignedWord;

/**
 * Functions of the C library, called as the native executable is able to. The calls are made without the transition
 * that lets the rest of the VM go on meanwhile: with it, errno could be another's by the time it is read. So those that
 * may wait, or whose errno matters, are for the main thread before there are others.
 */
final class Libc {

    private Libc() {}

    /** Whether this is the native executable. On a JVM, nothing else of this class may be used. */
    static boolean available() {
        return ImageMode.current() == ImageMode.NATIVE_RUN;
    }

    static int errno() {
        return errnoLocation().read();
    }

    @CFunction(value = "__errno_location", transition = Transition.NO_TRANSITION)
    private static native CIntPointer errnoLocation();

    @CFunction(transition = Transition.NO_TRANSITION)
    static native int socket(int domain, int type, int protocol);

    @CFunction(transition = Transition.NO_TRANSITION)
    static native int setsockopt(int socket, int level, int option, PointerBase value, int length);

    @CFunction(transition = Transition.NO_TRANSITION)
    static native int connect(int socket, PointerBase address, int length);

    @CFunction(transition = Transition.NO_TRANSITION)
    static native SignedWord send(int socket, PointerBase bytes, UnsignedWord length, int flags);

    @CFunction(transition = Transition.NO_TRANSITION)
    static native SignedWord recv(int socket, PointerBase bytes, UnsignedWord length, int flags);

    @CFunction(transition = Transition.NO_TRANSITION)
    static native int close(int file);

    @CFunction(transition = Transition.NO_TRANSITION)
    static native int open(PointerBase path, int flags, int mode);

    @CFunction(transition = Transition.NO_TRANSITION)
    static native int pipe(PointerBase ends);

    @CFunction(transition = Transition.NO_TRANSITION)
    static native int dup(int file);

    @CFunction(transition = Transition.NO_TRANSITION)
    static native int dup2(int file, int as);

    /** May wait, and lets the rest of the VM go on meanwhile; so its errno is nothing to go by. */
    @CFunction
    static native SignedWord read(int file, PointerBase bytes, UnsignedWord length);

    /** Like {@link #read}. */
    @CFunction
    static native SignedWord write(int file, PointerBase bytes, UnsignedWord length);

    @CFunction(transition = Transition.NO_TRANSITION)
    static native int capget(PointerBase header, PointerBase data);

    @CFunction(transition = Transition.NO_TRANSITION)
    static native int capset(PointerBase header, PointerBase data);
}
