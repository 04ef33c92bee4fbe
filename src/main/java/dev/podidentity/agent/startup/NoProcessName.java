package dev.podidentity.agent.startup;

import com.oracle.svm.core.annotate.Substitute;
import com.oracle.svm.core.annotate.TargetClass;
import org.graalvm.nativeimage.ProcessProperties;

/**
 * Returns a constant process name. Every log record carries the name, although no line shows it, and the JDK would read five
 * files to find it, including the account database.
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
