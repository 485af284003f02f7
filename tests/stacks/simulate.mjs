// Summary: says of each AWS request whether the policies allow it; the rules are IAM's, as iam-simulate has them.
// Usage:   node simulate.mjs <REQUESTS    (a JSON list of its Simulation; prints a JSON list of answers)
import { text } from 'node:stream/consumers'
import { runSimulation } from '@cloud-copilot/iam-simulate'

const answer = async (simulation) => {
  const found = await runSimulation(simulation, {})
  return found.resultType === 'error' ? JSON.stringify(found.errors) : found.overallResult
}

const simulations = JSON.parse(await text(process.stdin))
console.log(JSON.stringify(await Promise.all(simulations.map(answer))))
