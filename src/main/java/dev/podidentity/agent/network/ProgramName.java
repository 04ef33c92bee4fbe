package dev.podidentity.agent.network;

import java.util.Optional;
import org.graalvm.nativeimage.ProcessProperties;

/** What this process was started as. */
public final class ProgramName {

    private ProgramName() {}

    /** The path or name that the process was given beside its arguments; nothing on a JVM, where it is that of the JVM. */
    public static Optional<String> ofThisProcess() {
        return Libc.available() ? Optional.ofNullable(ProcessProperties.getArgumentVectorProgramName()) : Optional.empty();
    }
}
