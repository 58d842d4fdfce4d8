// Adds up vitest's JSON reports and ends with the line "N passed, N failed". A missing report, or a failed step, counts as a failure.
import { readFileSync } from "node:fs";

const [failedStep, ...files] = process.argv.slice(2);
let passed = 0;
let failed = failedStep === "0" ? 0 : 1;
for (const file of files) {
  try {
    const report = JSON.parse(readFileSync(file, "utf8"));
    if (report.numPassedTests === 0) throw new Error("no test ran");
    passed += report.numPassedTests;
    failed += report.numFailedTests + (report.success ? 0 : report.numFailedTests === 0 ? 1 : 0);
  } catch (error) {
    console.error(`${file}: ${error.message}`);
    failed += 1;
  }
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
