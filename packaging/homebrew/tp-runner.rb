# The template of the formula. `packaging/homebrew/update` replaces the version 0.0.0 and the checksums by those of a release.
class TpRunner < Formula
  desc "Executes written test plans across HTTP, Kubernetes, SQL and webhooks"
  homepage "https://github.com/tp-runner/tp-runner"
  version "0.0.0"
  license "MIT"

  on_macos do
    on_arm do
      url "https://github.com/tp-runner/tp-runner/releases/download/v0.0.0/tp-runner-0.0.0-aarch64-apple-darwin.tar.gz"
      sha256 "@aarch64-apple-darwin@"
    end
    on_intel do
      url "https://github.com/tp-runner/tp-runner/releases/download/v0.0.0/tp-runner-0.0.0-x86_64-apple-darwin.tar.gz"
      sha256 "@x86_64-apple-darwin@"
    end
  end

  on_linux do
    on_arm do
      url "https://github.com/tp-runner/tp-runner/releases/download/v0.0.0/tp-runner-0.0.0-aarch64-unknown-linux-musl.tar.gz"
      sha256 "@aarch64-unknown-linux-musl@"
    end
    on_intel do
      url "https://github.com/tp-runner/tp-runner/releases/download/v0.0.0/tp-runner-0.0.0-x86_64-unknown-linux-musl.tar.gz"
      sha256 "@x86_64-unknown-linux-musl@"
    end
  end

  def install
    bin.install "tp-runner"
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/tp-runner --version")
    system bin/"tp-runner", "check", "TP-004"
  end
end
