package dev.podidentity.agent.observe;

import com.oracle.svm.core.annotate.Alias;
import com.oracle.svm.core.annotate.Substitute;
import com.oracle.svm.core.annotate.TargetClass;

/**
 * Returns the value of {@code -R:MaxDirectMemorySize}. Netty would query the JDK by reflection, which fails in a native
 * executable, and would then use the maximum heap size instead.
 */
@TargetClass(DirectMemory.class)
final class DirectMemoryMax {

    private DirectMemoryMax() {}

    @Substitute
    static double max() {
        return Vm.maxDirectMemory();
    }

    @TargetClass(className = "jdk.internal.misc.VM")
    private static final class Vm {

        private Vm() {}

        @Alias
        static native long maxDirectMemory();
    }
}
