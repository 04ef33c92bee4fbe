package dev.podidentity.agent.doctor;

import java.util.List;

/** Lists the SDK versions that support EKS Pod Identity, since those of the pod cannot be seen from outside. */
final class SdkCheck implements Check {

    /** From the EKS user guide. */
    private static final List<String> MINIMUM = List.of(
            "Java v2 2.21.30, Java v1 1.12.746",
            "Go v2 release-2023-11-14, Go v1 1.47.11",
            "Python boto3 and botocore 1.34.41, AWS CLI v2 2.15.0, AWS CLI v1 1.30.0",
            "JavaScript v3 3.458.0, JavaScript v2 2.1550.0",
            "Kotlin 1.0.1, Ruby 3.188.0, Rust release-2024-03-13, C++ 1.11.263, .NET 3.7.734.0, PowerShell 4.1.502, PHP 3.287.1");

    @Override
    public String name() {
        return "sdk";
    }

    @Override
    public List<Finding> examine() {
        return List.of(Finding.skip("The versions of the pod's SDKs cannot be seen", "They must be these or newer").with(MINIMUM));
    }
}
