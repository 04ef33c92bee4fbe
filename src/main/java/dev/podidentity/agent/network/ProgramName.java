package dev.podidentity.agent.network;

import java.util.Optional;
import org.graalvm.nativeimage.ProcessProperties;

/** The name by which this process was started. */
public final class ProgramName {

    private ProgramName() {}

    /** Returns argument 0 of this process; empty on a JVM, where it would be the name of the JVM. */
    public static Optional<String> ofThisProcess() {
        return Libc.available() ? Optional.ofNullable(ProcessProperties.getArgumentVectorProgramName()) : Optional.empty();
    }
}
