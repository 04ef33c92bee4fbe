package dev.podidentity.agent.startup;

import com.oracle.svm.core.annotate.Substitute;
import com.oracle.svm.core.annotate.TargetClass;
import org.graalvm.nativeimage.ProcessProperties;

/**
 * Knows the name of this process. Each record of the log carries it, though no line shows it, and the JDK would read five files
 * to find it, that of the accounts among them.
 */
@Substitute
@TargetClass(className = "io.smallrye.common.os.Process")
final class NoProcessName {

    private NoProcessName() {}

    @Substitute
    public static String getProcessName() {
        return "eks-pod-identity-agent";
    }

    @Substitute
    public static long getProcessId() {
        return ProcessProperties.getProcessID();
    }
}
