package dev.podidentity.agent.network;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/** Tells one container's processes from another's where both are on the node's network. */
public final class ProcessNamespace {

    private static final Path LINK = Path.of("/proc/self/ns/pid");

    private ProcessNamespace() {}

    /** What the kernel calls the process namespace of this process: a container's own, which {@code kubectl exec} enters. */
    public static Optional<String> ofThisProcess() {
        try {
            return Optional.of(Files.readSymbolicLink(LINK).toString());
        } catch (IOException e) {
            return Optional.empty();
        }
    }
}
