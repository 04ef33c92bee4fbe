package dev.podidentity.agent.network;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/** Distinguishes the processes of two containers on the host network. */
public final class ProcessNamespace {

    private static final Path LINK = Path.of("/proc/self/ns/pid");

    private ProcessNamespace() {}

    /**
     * Returns the kernel's name for this process's PID namespace, which each container has and {@code kubectl exec} enters.
     */
    public static Optional<String> ofThisProcess() {
        try {
            return Optional.of(Files.readSymbolicLink(LINK).toString());
        } catch (IOException e) {
            return Optional.empty();
        }
    }
}
