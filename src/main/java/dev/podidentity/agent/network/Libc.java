package dev.podidentity.agent.network;

import io.quarkus.runtime.ImageMode;
import org.graalvm.nativeimage.c.function.CFunction;
import org.graalvm.nativeimage.c.function.CFunction.Transition;
import org.graalvm.nativeimage.c.type.CIntPointer;
import org.graalvm.word.PointerBase;
import org.graalvm.word.SignedWord;
import org.graalvm.word.UnsignedWord;

/**
 * Calls functions of the C library from the native executable. The calls omit the transition that would let the rest of the
 * VM run meanwhile, because another thread could then change errno before it is read. Functions that may block, or whose
 * errno matters, must therefore be called on the main thread before there are other threads.
 */
final class Libc {

    private Libc() {}

    /** Returns whether this is the native executable. On a JVM, nothing else in this class may be used. */
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

    /** May block, and lets the rest of the VM run meanwhile; its errno is therefore unreliable. */
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
